//! The kernel, where neither the standard library nor rustix has a word for it: each module a few
//! system calls, as safe functions.

pub(super) mod channel;
pub(super) mod clone;
pub(crate) mod mount;
pub(super) mod procfs;
pub(super) mod root;
pub(super) mod signals;
pub(super) mod task;
