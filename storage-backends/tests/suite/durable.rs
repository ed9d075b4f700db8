//! What a store finds that another process has left.

use std::path::Path;
use std::sync::Arc;

use berth_oci::UploadId;
use berth_storage_backends::BlobStore;

use super::fixtures::{bytes, digest, is_absent, put, read};

pub async fn uploads_go_on_in_the_next_process(open: fn(&Path) -> Arc<dyn BlobStore>) {
    let directory = tempfile::tempdir().unwrap();
    let content = bytes(1, 10_000);
    let mut handle = open(directory.path()).begin_upload(UploadId::random()).await.unwrap();
    for (first, end) in [(0, 4000), (4000, 4000), (4000, 10_000)] {
        let store = open(directory.path());
        let mut writer = store.continue_upload(&handle, first as u64).await.unwrap();
        writer.write(vec![content.slice(first..end)]).await.unwrap();
        handle = writer.sync().await.unwrap();
        // What comes behind the sync need not be there, and must not be in the way.
        writer.write(vec![bytes(2, 77)]).await.unwrap();
    }
    let store = open(directory.path());
    let writer = store.continue_upload(&handle, 10_000).await.unwrap();
    let location = writer.finish(&digest(&content)).await.unwrap().location;
    let store = open(directory.path());
    assert_eq!(read(&store.open(&digest(&content), &location).await.unwrap()).await, content);
}

pub async fn blobs_are_there_for_the_next_process(open: fn(&Path) -> Arc<dyn BlobStore>) {
    let directory = tempfile::tempdir().unwrap();
    let (kept, deleted) = (bytes(1, 1000), bytes(2, 1000));
    let store = open(directory.path());
    let (kept_at, deleted_at) = (put(&store, &kept).await, put(&store, &deleted).await);
    store.delete(&digest(&deleted), &deleted_at).await.unwrap();
    drop(store);
    let store = open(directory.path());
    assert_eq!(read(&store.open(&digest(&kept), &kept_at).await.unwrap()).await, kept);
    assert!(is_absent(&store, &digest(&deleted), &deleted_at).await);
}
