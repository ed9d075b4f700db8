use std::time::SystemTime;

use async_trait::async_trait;
use berth_oci::Digest;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::{OpenBlob, StoreError};

/// Files of a store by their names, beside the blobs that it knows by digest: the tree that
/// `registry:2` keeps there, and backups.
///
/// A name is a path below the root of the store, with slashes and without `.` and `..`.
#[async_trait]
pub trait StoreFiles: Send + Sync {
    /// All files below a folder, or below the root for an empty name, in batches and in no order to rely on; none when there is no such
    /// folder. What cannot be looked at is told and passed over.
    fn list(&self, folder: &str) -> BoxStream<'static, Result<Vec<Found>, StoreError>>;

    /// The content of a small file.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], and [`StoreError::Io`] for a file of more than `limit` bytes.
    async fn read(&self, name: &str, limit: u64) -> Result<Bytes, StoreError>;

    /// Opens a file of any size.
    async fn open(&self, name: &str) -> Result<OpenBlob, StoreError>;

    /// Writes a file whole. When this returns it is on stable storage; until then, and when the content
    /// breaks off, the name stands for what it stood for before.
    async fn write(
        &self,
        name: &str,
        content: BoxStream<'static, Result<Bytes, StoreError>>,
    ) -> Result<(), StoreError>;

    /// Writes a small file, unless there is one of that name: then nothing is changed, and the answer is
    /// false. When this returns it is on stable storage. Of two writers at the same time one writes.
    async fn write_new(&self, name: &str, content: Bytes) -> Result<bool, StoreError>;

    /// Deletes a file; nothing when it is not there.
    async fn delete(&self, name: &str) -> Result<(), StoreError>;

    /// The location of a blob whose bytes lie in the tree of `registry:2`, to be recorded as that of any
    /// other.
    fn location_in_tree(&self, digest: &Digest, size: u64) -> String;
}

/// What a listing finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A file.
    File(FoundFile),
    /// Something that cannot be looked at.
    Unreadable {
        /// Its name; of a folder, that of the folder.
        name: String,
        /// Why not.
        reason: String,
    },
}

/// A file in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: SystemTime,
}
