//! `manifest.json` as `docker save` writes it.

use std::collections::BTreeMap;

use berth_oci::{Descriptor, Digest};
use serde::{Deserialize, Serialize};

/// The name of the file.
pub(super) const NAME: &str = "manifest.json";

/// The longest that is read, in bytes.
pub(super) const LONGEST: u64 = 16 << 20;

/// An image in the archive.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ArchivedImage {
    /// The member that is its configuration.
    pub(super) config: String,
    /// Its names with a tag.
    pub(super) repo_tags: Option<Vec<String>>,
    /// The members that are its layers, lowest first.
    pub(super) layers: Vec<String>,
    /// What the layers are, by their digests as tar archives.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) layer_sources: BTreeMap<Digest, Descriptor>,
}
