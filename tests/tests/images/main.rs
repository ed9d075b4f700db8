//! `berth pull`, `push`, `images`, `save`, `load` and the like: the real binary, against a real registry, registries that
//! lie, and the tools that people have beside it.
//!
//! The tests need the optimised build and root, as layers are kept ready to be mounted. So they are ignored unless
//! `cargo xtask runner` asks for them by name.
#![allow(clippy::unwrap_used)]

mod ahead;
mod archives;
mod counterparts;
mod hostile;
mod listing;
mod logins;
mod machine;
mod nearby;
mod pulling;
mod pushing;
mod removal;
mod scripted;
