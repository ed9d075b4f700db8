//! One file a command.

mod ask;
pub(crate) mod config;
pub(crate) mod deletion;
pub(crate) mod garbage_collect;
pub(crate) mod metadata;
pub(crate) mod migrate;
pub(crate) mod retention;
pub(crate) mod serve;
mod stores;
