//! The kernel, where neither the standard library nor rustix has a word for it: each module a few
//! system calls, as safe functions.

pub(crate) mod channel;
pub(crate) mod clone;
pub(crate) mod console;
pub(crate) mod memory;
pub(crate) mod mount;
pub(crate) mod pidfd;
pub(crate) mod processors;
pub(crate) mod procfs;
pub(crate) mod root;
pub(crate) mod signals;
pub(crate) mod task;
