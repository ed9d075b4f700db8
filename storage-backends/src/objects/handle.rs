use berth_oci::UploadId;
use serde::{Deserialize, Serialize};

use super::checksum::Checksum;

/// What is kept of an upload between two requests, in the caller's database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Handle {
    /// The upload's identifier, which its keys are made of.
    pub(super) upload: String,
    /// The key of the object that the parts become.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    /// The store's identifier of the object of parts, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parts_id: Option<String>,
    /// The parts that are in the store, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<Part>,
    /// The number of bytes behind the parts, too few for one.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) rest: u64,
    /// Their checksum; not known of what was found in a listing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rest_crc: Option<Checksum>,
    /// The key of the object that holds these. When there are no parts it is the blob already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rest_key: Option<String>,
}

/// A part in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// What names it when the object is made.
    pub(super) name: String,
    /// Its size in bytes.
    pub(super) size: u64,
    /// The checksum of its bytes.
    pub(super) crc: Checksum,
}

impl Handle {
    pub(super) fn new(id: UploadId) -> Self {
        Self { upload: id.to_string(), ..Self::default() }
    }

    /// The handle that a text stands for, and the upload that it names.
    pub(super) fn parse(text: &str) -> Option<(Self, UploadId)> {
        let handle: Self = serde_json::from_str(text).ok()?;
        let id = handle.upload.parse().ok()?;
        Some((handle, id))
    }

    pub(super) fn text(&self) -> String {
        // Texts and numbers alone: there is nothing that JSON could not hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The bytes in parts.
    pub(super) fn in_parts(&self) -> u64 {
        self.parts.iter().map(|part| part.size).sum()
    }

    /// How many bytes the rest has and what they are.
    pub(super) fn expected_rest(&self) -> Option<(u64, Checksum)> {
        Some((self.rest, self.rest_crc?))
    }

    /// All bytes that are in the store.
    pub(super) fn held(&self) -> u64 {
        self.in_parts() + self.rest
    }
}

// Serde asks for a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
