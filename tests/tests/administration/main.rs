//! Who may use the registry and what they may do, as it is decided over the API and by commands, with the real binary.
//!
//! The tests need a build of it. So they are ignored unless `cargo xtask faults` asks for them by name.

mod commands;
mod forms;
mod house;
mod permissions;
mod revocation;
mod secrets;
