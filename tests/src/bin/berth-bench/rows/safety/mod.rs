//! Moving in, and losing nothing: imports, verification and backups.

pub(crate) mod backup;
pub(crate) mod import;
pub(crate) mod scrub;
mod tree;
