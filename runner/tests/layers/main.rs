//! Layers as the kernel shows them, in every way in which they can be kept. Started by `cargo xtask
//! runner`, since mounts take root: the tests say so by being ignored elsewhere.
#![cfg(target_os = "linux")]
#![allow(missing_docs)]
#![allow(clippy::unwrap_used)]

mod archives;
mod docker;
mod hostile;
mod listing;
mod lives;
mod semantics;
mod store;
