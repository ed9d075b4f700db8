//! The `metadata` section.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ByteSize;

/// The database of names: repositories, tags, manifests, links and upload sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metadata {
    /// The embedded database.
    pub sqlite: Sqlite,
}

/// The embedded database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sqlite {
    /// The file. Keep it on a local disk: SQLite's locks are not safe on network file systems.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-type" = "path", "x-berth-default" = "`berth.db` in the root directory, or where it would be when blobs are in a remote store; in memory when blobs are"))]
    pub path: Option<PathBuf>,
    /// Connections for reading.
    pub readers: u32,
    /// Memory for manifests that were read lately. They never change, so the cache is never stale. `0` turns it off.
    pub cachesize: ByteSize,
}

impl Default for Sqlite {
    fn default() -> Self {
        Self { path: None, readers: 4, cachesize: ByteSize::from_mib(64) }
    }
}
