use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName};

use crate::{BlobLocation, BlobRecord, MetadataError, Page};

/// All blobs in an order in which they can be looked at, and what is known of damage.
#[async_trait]
pub trait DamageStore: fmt::Debug + Send + Sync + 'static {
    /// The blobs behind `after`, at most `limit`.
    async fn blobs(
        &self,
        after: Option<BlobCursor>,
        limit: u32,
    ) -> Result<Vec<NamedBlob>, MetadataError>;

    /// What is known of a blob, whoever links it.
    async fn blob_anywhere(&self, digest: &Digest) -> Result<Option<BlobRecord>, MetadataError>;

    /// Records that a blob is damaged and where its bytes are kept from now on; false, and nothing
    /// changed, when it is not at the place any longer that was looked at.
    async fn quarantine_blob(
        &self,
        blob: &BlobRecord,
        to: &BlobLocation,
        reason: &str,
    ) -> Result<bool, MetadataError>;

    /// The damaged blobs behind `after`, by digest, at most `limit`.
    async fn damaged_blobs(
        &self,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Page<DamagedBlob>, MetadataError>;

    /// Repositories that link the blob, at most `limit`.
    async fn repositories_of_blob(
        &self,
        digest: &Digest,
        limit: u32,
    ) -> Result<Vec<RepositoryName>, MetadataError>;

    /// Where the last look at all blobs has come to.
    async fn scrub_position(&self) -> Result<Option<BlobCursor>, MetadataError>;

    /// Notes where it has come to; `None` at the end.
    async fn set_scrub_position(&self, position: Option<BlobCursor>) -> Result<(), MetadataError>;
}

/// The place of a blob in the order in which all are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobCursor(pub(crate) i64);

/// A blob and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedBlob {
    /// Its place.
    pub cursor: BlobCursor,
    /// The blob.
    pub blob: BlobRecord,
}

/// A blob that is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedBlob {
    /// The blob.
    pub blob: BlobRecord,
    /// When that was found.
    pub found_at: SystemTime,
    /// What is wrong with it.
    pub reason: String,
}
