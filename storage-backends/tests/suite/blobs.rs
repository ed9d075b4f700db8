//! Blobs once they are there.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use berth_oci::{Algorithm, Hasher};
use berth_storage_backends::{BlobStore, StaleUpload, StoreError};
use bytes::Bytes;

use super::fixtures::{begin, bytes, digest, is_absent, put, put_as, read, stale};

pub async fn what_is_not_there_is_not_found(store: Arc<dyn BlobStore>) {
    let absent = digest(b"absent");
    assert!(is_absent(&store, &absent, "").await);
    assert!(matches!(store.stat(&absent, "").await, Err(StoreError::NotFound)));
    store.delete(&absent, "").await.unwrap();
}

pub async fn a_deleted_blob_is_gone_and_can_come_back(store: Arc<dyn BlobStore>) {
    let content = bytes(1, 1000);
    let digest = digest(&content);
    for _ in 0..3 {
        let location = put(&store, &content).await;
        assert_eq!(read(&store.open(&digest, &location).await.unwrap()).await, content);
        store.delete(&digest, &location).await.unwrap();
        assert!(is_absent(&store, &digest, &location).await);
        assert!(matches!(store.stat(&digest, &location).await, Err(StoreError::NotFound)));
        store.delete(&digest, &location).await.unwrap();
    }
}

pub async fn an_open_blob_outlives_its_deletion(store: Arc<dyn BlobStore>) {
    let content = bytes(2, 100_000);
    let location = put(&store, &content).await;
    let open = store.open(&digest(&content), &location).await.unwrap();
    store.delete(&digest(&content), &location).await.unwrap();
    assert_eq!(read(&open).await, content);
}

pub async fn an_open_blob_outlives_its_replacement(store: Arc<dyn BlobStore>) {
    let (old, new) = (bytes(3, 100_000), bytes(4, 50));
    let location = put_as(&store, &digest(&new), &old).await;
    let open = store.open(&digest(&new), &location).await.unwrap();
    put(&store, &new).await;
    assert_eq!(read(&open).await, old);
}

pub async fn finishing_replaces_damaged_bytes(store: Arc<dyn BlobStore>) {
    let content = bytes(5, 1000);
    for damaged in [bytes(6, 1000), bytes(6, 10), bytes(6, 5000), Bytes::new()] {
        put_as(&store, &digest(&content), &damaged).await;
        let location = put(&store, &content).await;
        assert_eq!(store.stat(&digest(&content), &location).await.unwrap(), 1000);
        assert_eq!(read(&store.open(&digest(&content), &location).await.unwrap()).await, content);
    }
}

pub async fn the_same_blob_can_be_finished_by_many_at_once(store: Arc<dyn BlobStore>) {
    for round in 0..10 {
        let content = bytes(7 + round, 20_000);
        let barrier = Arc::new(tokio::sync::Barrier::new(8));
        let pushes: Vec<_> = (0..8)
            .map(|_| {
                let (store, content, barrier) = (store.clone(), content.clone(), barrier.clone());
                tokio::spawn(async move {
                    let (_, mut writer) = begin(&store).await;
                    writer.write(vec![content.clone()]).await.unwrap();
                    barrier.wait().await;
                    let location = writer.finish(&digest(&content)).await.unwrap().location;
                    let open = store.open(&digest(&content), &location).await.unwrap();
                    assert_eq!(read(&open).await, content);
                })
            })
            .collect();
        for push in pushes {
            push.await.unwrap();
        }
    }
}

pub async fn digests_of_two_algorithms_name_two_blobs(store: Arc<dyn BlobStore>) {
    let content = bytes(8, 1000);
    let long = Hasher::digest(Algorithm::Sha512, &content);
    let location = put_as(&store, &long, &content).await;
    assert!(matches!(store.stat(&digest(&content), "").await, Err(StoreError::NotFound)));
    let other = put(&store, &content).await;
    store.delete(&digest(&content), &other).await.unwrap();
    assert_eq!(read(&store.open(&long, &location).await.unwrap()).await, content);
}

pub async fn a_large_blob_comes_back_whole(store: Arc<dyn BlobStore>) {
    // Beyond the size at which a driver begins to sync behind its writer or to cut parts.
    let piece = bytes(9, 1 << 20);
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let (_, mut writer) = begin(&store).await;
    for number in 0..70u8 {
        let marked = [&[number][..], &piece[1..]].concat();
        hasher.update(&marked);
        writer.write(vec![marked.into()]).await.unwrap();
    }
    let name = hasher.finish();
    let location = writer.finish(&name).await.unwrap().location;
    let open = store.open(&name, &location).await.unwrap();
    assert_eq!(open.size, 70 << 20);
    let whole = read(&open).await;
    for (number, found) in whole.chunks(1 << 20).enumerate() {
        assert!(usize::from(found[0]) == number && found[1..] == piece[1..], "piece {number}");
    }
}

pub async fn a_store_that_works_passes_its_check(store: Arc<dyn BlobStore>) {
    store.check().await.unwrap();
    put(&store, &bytes(10, 10)).await;
    store.check().await.unwrap();
    let (first, second) = tokio::join!(store.check(), store.check());
    first.unwrap();
    second.unwrap();
    // The probe cleans up behind itself.
    store.probe(true).await.unwrap();
    let later = SystemTime::now() + Duration::from_secs(60);
    // What is left is the blob.
    let is_blob = |one: &StaleUpload| one.location_prefix.is_some() || one.placed.is_some();
    assert!(stale(&store, later).await.iter().all(is_blob));
}

pub async fn a_blob_is_no_orphan_before_its_location_could_be_recorded(store: Arc<dyn BlobStore>) {
    let later = SystemTime::now() + Duration::from_secs(60);
    for size in [1000, 12 << 20] {
        let content = bytes(11, size);
        let (_, mut writer) = begin(&store).await;
        writer.write(vec![content.clone()]).await.unwrap();
        let blob = writer.finish(&digest(&content)).await.unwrap();
        // A store that finds it by its digest tells of it, and of what it is.
        for found in stale(&store, later).await {
            assert_eq!(found.placed, Some(digest(&content)));
        }
        blob.hold.recorded();
        drop(blob.hold);
        store.delete(&digest(&content), &blob.location).await.unwrap();
    }
}
