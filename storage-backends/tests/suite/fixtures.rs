use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use berth_oci::{Algorithm, Digest, Hasher, UploadId};
use berth_storage_backends::{
    BlobContent, BlobStore, OpenBlob, StaleUpload, StoreError, UploadWriter,
};
use bytes::Bytes;
use futures_util::TryStreamExt;
use tempfile::TempDir;

/// An empty store, and the directory that it is in, if it is in one.
pub struct Opened {
    pub store: Arc<dyn BlobStore>,
    pub directory: Option<TempDir>,
}

impl Opened {
    /// The directory that it is in.
    pub fn root(&self) -> &Path {
        self.directory.as_ref().expect("a driver with a directory").path()
    }
}

/// `len` bytes that differ from place to place and from seed to seed.
pub fn bytes(seed: u8, len: usize) -> Bytes {
    let byte = |index: usize| (index % 251) as u8 ^ (index / 251 % 256) as u8 ^ seed;
    (0..len).map(byte).collect::<Vec<_>>().into()
}

/// Their digest.
pub fn digest(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

/// Begins an upload and takes hold of it.
pub async fn begin(store: &Arc<dyn BlobStore>) -> (String, Box<dyn UploadWriter>) {
    let handle = store.begin_upload(UploadId::random()).await.unwrap();
    let writer = store.continue_upload(&handle, 0).await.unwrap();
    (handle, writer)
}

/// An upload with some bytes that nobody holds; gives the handle to go on with.
pub async fn upload_of(store: &Arc<dyn BlobStore>, bytes: &Bytes) -> String {
    let (_, mut writer) = begin(store).await;
    writer.write(vec![bytes.clone()]).await.unwrap();
    writer.sync().await.unwrap()
}

/// Stores a blob under its digest and gives its location.
pub async fn put(store: &Arc<dyn BlobStore>, bytes: &Bytes) -> String {
    put_as(store, &digest(bytes), bytes).await
}

/// Stores a blob under any digest: stores believe their callers.
pub async fn put_as(store: &Arc<dyn BlobStore>, digest: &Digest, bytes: &Bytes) -> String {
    let (_, mut writer) = begin(store).await;
    writer.write(vec![bytes.clone()]).await.unwrap();
    writer.finish(digest).await.unwrap().location
}

/// All bytes of an open blob.
pub async fn read(blob: &OpenBlob) -> Bytes {
    try_read(blob).await.unwrap()
}

/// All bytes of an open blob, or why they cannot be read.
pub async fn try_read(blob: &OpenBlob) -> Result<Bytes, StoreError> {
    let bytes = match &blob.content {
        BlobContent::Memory(bytes) => bytes.clone(),
        BlobContent::Remote(remote) => {
            let chunks: Vec<Bytes> = remote.read(0..blob.size).try_collect().await?;
            chunks.concat().into()
        }
        BlobContent::Unreadable => panic!("the store does not give this back"),
        BlobContent::File(file) => {
            let mut bytes = vec![0; blob.size as usize];
            file.read_exact_at(&mut bytes, 0).unwrap();
            bytes.into()
        }
    };
    assert_eq!(bytes.len() as u64, blob.size);
    Ok(bytes)
}

/// Whether a blob is not there: some stores find out only when it is read.
pub async fn is_absent(store: &Arc<dyn BlobStore>, digest: &Digest, location: &str) -> bool {
    let read = match store.open(digest, location).await {
        Ok(blob) => try_read(&blob).await.map(|_| ()),
        Err(error) => Err(error),
    };
    matches!(read, Err(StoreError::NotFound))
}

/// What stands still since `before`.
pub async fn stale(store: &Arc<dyn BlobStore>, before: SystemTime) -> Vec<StaleUpload> {
    store.stale_uploads(before).try_collect().await.unwrap()
}

/// Whether an upload has fewer bytes than were recorded.
pub fn is_lost<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::UploadLost { .. }))
}
