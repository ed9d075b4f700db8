//! What keeps the stored bytes and names safe.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteSize, GoDuration};

/// Re-verification of stored blobs, beside pushes and pulls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Scrub {
    /// Whether stored blobs are read again and compared with their digests. Without, `berth scrub` still does it.
    #[schemars(extend("x-berth-reload" = true))]
    pub enabled: bool,
    /// How many bytes are read a second.
    #[schemars(extend("x-berth-reload" = true))]
    pub rate: ByteSize,
    /// The rest between two batches of blobs.
    #[schemars(extend("x-berth-reload" = true))]
    pub pause: GoDuration,
    /// A round over all blobs begins at most once in so long.
    #[schemars(extend("x-berth-reload" = true))]
    pub period: GoDuration,
    /// One of so many blobs that are pulled through the registry is looked at once more; 0 for none.
    #[schemars(extend("x-berth-reload" = true))]
    pub sample: u32,
    /// Registries that have the same repositories, such as `https://other.example.org/`, and that anyone may read:
    /// damaged blobs are got from there.
    pub peers: Vec<String>,
}

impl Default for Scrub {
    fn default() -> Self {
        Self {
            enabled: true,
            rate: ByteSize::from_mib(8),
            pause: GoDuration::from_secs(60),
            period: GoDuration::from_secs(7 * 24 * 3600),
            sample: 1000,
            peers: Vec::new(),
        }
    }
}

/// Backups of the database, kept beside the blobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Backup {
    /// Whether backups are made. Without, `berth backup now` still makes one.
    #[schemars(extend("x-berth-reload" = true))]
    pub enabled: bool,
    /// Time between two backups.
    #[schemars(extend("x-berth-reload" = true))]
    pub interval: GoDuration,
    /// How many backups are kept; older ones are deleted when a new one is there.
    #[schemars(extend("x-berth-reload" = true))]
    pub keep: u32,
}

impl Default for Backup {
    fn default() -> Self {
        Self { enabled: true, interval: GoDuration::from_secs(24 * 3600), keep: 7 }
    }
}
