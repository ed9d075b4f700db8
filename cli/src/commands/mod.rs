//! One module a command.

pub(crate) mod administer;
#[cfg(target_os = "linux")]
mod ahead;
#[cfg(not(target_os = "linux"))]
#[path = "ahead_elsewhere.rs"]
mod ahead;
mod ask;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod config;
pub(crate) mod copy;
pub(crate) mod deletion;
pub(crate) mod export;
pub(crate) mod garbage_collect;
pub(crate) mod grant;
pub(crate) mod import;
mod metadata;
pub(crate) mod migrate;
pub(crate) mod mirror;
pub(crate) mod oci;
pub(crate) mod organisation;
pub(crate) mod password;
pub(crate) mod policy;
pub(crate) mod reindex;
pub(crate) mod relocate;
pub(crate) mod retention;
pub(crate) mod robot;
mod runtime;
mod screen;
pub(crate) mod scrub;
pub(crate) mod serve;
mod stores;
pub(crate) mod team;
pub(crate) mod token;
pub(crate) mod user;
