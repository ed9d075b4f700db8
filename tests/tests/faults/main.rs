//! The real binary on bad days: full disks, disks that fail, damaged and locked databases, signals in the middle of
//! work, ten thousand connections.
//!
//! The tests need the optimised build, and some need to mount filesystems, which takes root. So they are ignored unless
//! `cargo xtask faults` asks for them by name.

mod client;
mod credentials;
mod crowd;
mod database;
mod failing_disk;
mod full_disk;
mod log;
mod notifications;
mod signals;
mod start;
mod store_start;
mod unix_socket;
