use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// A reference to content: its media type, digest and size, as the image specification has it.
///
/// Unknown members are not kept: stored manifests are never written again from this type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type of the content.
    pub media_type: String,
    /// The digest of the content.
    pub digest: Digest,
    /// The size of the content in bytes.
    pub size: u64,
    /// Places outside of the registry that hold the content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// The type of an artifact, where the content is a manifest of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Free key and value pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// What the content runs on, where it is an image in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// What an image runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The processor, in the words of Go's `GOARCH`.
    pub architecture: String,
    /// The operating system, in the words of Go's `GOOS`.
    pub os: String,
    /// The variant of the processor, `v7` for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}
