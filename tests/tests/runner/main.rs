//! `berth oci` as an engine uses it: the real binary, in real namespaces, on a root of busybox.
//!
//! The tests need the optimised build and root, and say so where they lack them. So they are ignored unless
//! `cargo xtask runner` asks for them by name.

mod bundle;
mod engines;
mod filesystem;
mod hooks;
mod hostile;
mod lifecycle;
mod limits;
mod namespaces;
mod process;
mod seccomp;
mod terminal;
mod validation;
