//! From the first byte to a blob.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use berth_oci::UploadId;
use berth_storage_backends::BlobStore;
use bytes::Bytes;

use super::fixtures::{begin, bytes, digest, is_lost, read, stale, upload_of};

pub async fn an_upload_becomes_a_blob(store: Arc<dyn BlobStore>) {
    let content = bytes(1, 100_000);
    let (handle, mut writer) = begin(&store).await;
    writer.write(vec![content.clone()]).await.unwrap();
    let location = writer.finish(&digest(&content)).await.unwrap().location;
    assert_eq!(store.stat(&digest(&content), &location).await.unwrap(), 100_000);
    let blob = store.open(&digest(&content), &location).await.unwrap();
    assert_eq!(read(&blob).await, content);
    assert!(is_lost(&store.continue_upload(&handle, 1).await), "the upload is gone");
}

pub async fn an_upload_without_bytes_becomes_the_empty_blob(store: Arc<dyn BlobStore>) {
    for write_nothing in [false, true] {
        let (_, mut writer) = begin(&store).await;
        if write_nothing {
            writer.write(vec![]).await.unwrap();
            writer.write(vec![Bytes::new(), Bytes::new()]).await.unwrap();
        }
        let location = writer.finish(&digest(b"")).await.unwrap().location;
        assert_eq!(store.stat(&digest(b""), &location).await.unwrap(), 0);
        assert_eq!(read(&store.open(&digest(b""), &location).await.unwrap()).await, Bytes::new());
    }
}

pub async fn chunks_are_stored_in_order(store: Arc<dyn BlobStore>) {
    let content = bytes(2, 300_000);
    let (_, mut writer) = begin(&store).await;
    let mut rest = content.clone();
    let mut len = 0;
    while !rest.is_empty() {
        len = (len * 2 + 1).min(rest.len());
        let half = rest.split_to(len);
        let (first, second) = (half.slice(..len / 2), half.slice(len / 2..));
        writer.write(vec![first, Bytes::new(), second]).await.unwrap();
    }
    let location = writer.finish(&digest(&content)).await.unwrap().location;
    assert_eq!(read(&store.open(&digest(&content), &location).await.unwrap()).await, content);
}

pub async fn an_upload_goes_on_where_it_stood(store: Arc<dyn BlobStore>) {
    let content = bytes(3, 10_000);
    let mut handle = store.begin_upload(UploadId::random()).await.unwrap();
    for (first, end) in [(0, 1), (1, 1), (1, 5000), (5000, 9999)] {
        let mut writer = store.continue_upload(&handle, first as u64).await.unwrap();
        writer.write(vec![content.slice(first..end)]).await.unwrap();
        handle = writer.sync().await.unwrap();
    }
    let mut writer = store.continue_upload(&handle, 9999).await.unwrap();
    writer.write(vec![content.slice(9999..)]).await.unwrap();
    let location = writer.finish(&digest(&content)).await.unwrap().location;
    assert_eq!(read(&store.open(&digest(&content), &location).await.unwrap()).await, content);
}

pub async fn going_on_earlier_discards_nothing_before_the_first_change(store: Arc<dyn BlobStore>) {
    let content = bytes(4, 1000);
    let handle = upload_of(&store, &content).await;
    drop(store.continue_upload(&handle, 400).await.unwrap());
    drop(store.continue_upload(&handle, 0).await.unwrap());
    assert_eq!(read(&store.open_upload(&handle, 1000).await.unwrap()).await, content);
    drop(store.continue_upload(&handle, 1000).await.unwrap());
}

pub async fn the_first_change_discards_what_is_behind(store: Arc<dyn BlobStore>) {
    let content = bytes(5, 1000);
    for kept in [0, 400] {
        // By writing.
        let handle = upload_of(&store, &content).await;
        let mut writer = store.continue_upload(&handle, kept).await.unwrap();
        writer.write(vec![Bytes::from_static(b"end")]).await.unwrap();
        let handle = writer.sync().await.unwrap();
        drop(writer);
        let expected = [&content[..kept as usize], b"end"].concat();
        assert_eq!(read(&store.open_upload(&handle, kept + 3).await.unwrap()).await, expected);
        assert!(is_lost(&store.open_upload(&handle, kept + 4).await));

        // By bringing it to stable storage as it is.
        let handle = upload_of(&store, &content).await;
        let mut writer = store.continue_upload(&handle, kept).await.unwrap();
        let handle = writer.sync().await.unwrap();
        drop(writer);
        assert!(is_lost(&store.continue_upload(&handle, kept + 1).await));

        // By making it a blob.
        let handle = upload_of(&store, &content).await;
        let writer = store.continue_upload(&handle, kept).await.unwrap();
        let expected = content.slice(..kept as usize);
        let location = writer.finish(&digest(&expected)).await.unwrap().location;
        assert_eq!(read(&store.open(&digest(&expected), &location).await.unwrap()).await, expected);
    }
}

pub async fn an_upload_with_fewer_bytes_than_recorded_is_lost(store: Arc<dyn BlobStore>) {
    let handle = upload_of(&store, &bytes(6, 1000)).await;
    let untouched = store.begin_upload(UploadId::random()).await.unwrap();
    for (handle, offset) in [(&handle, 1001), (&handle, u64::MAX), (&untouched, 1)] {
        assert!(is_lost(&store.continue_upload(handle, offset).await), "{offset}");
        assert!(is_lost(&store.open_upload(handle, offset).await), "{offset}");
    }
    drop(store.continue_upload(&handle, 1000).await.unwrap());
}

pub async fn the_bytes_of_an_upload_can_be_read_back(store: Arc<dyn BlobStore>) {
    let content = bytes(7, 1000);
    let handle = upload_of(&store, &content).await;
    for offset in [0, 1, 999, 1000] {
        let open = store.open_upload(&handle, offset as u64).await.unwrap();
        assert_eq!(read(&open).await, content.slice(..offset), "{offset}");
    }
    let untouched = store.begin_upload(UploadId::random()).await.unwrap();
    assert_eq!(read(&store.open_upload(&untouched, 0).await.unwrap()).await, Bytes::new());
    // Also while somebody goes on.
    let _writer = store.continue_upload(&handle, 1000).await.unwrap();
    assert_eq!(read(&store.open_upload(&handle, 1000).await.unwrap()).await, content);
}

pub async fn a_sealed_upload_can_be_read_and_then_finished(store: Arc<dyn BlobStore>) {
    // In one piece, in parts, and with what was there before.
    for (before, len) in [(0, 1000), (0, 12 << 20), (1000, 2000), (6 << 20, (6 << 20) + 5), (7, 7)]
    {
        let content = bytes(8, len);
        let handle = store.begin_upload(UploadId::random()).await.unwrap();
        let mut writer = store.continue_upload(&handle, 0).await.unwrap();
        writer.write(vec![content.slice(..before)]).await.unwrap();
        let handle = writer.sync().await.unwrap();
        drop(writer);
        let mut writer = store.continue_upload(&handle, before as u64).await.unwrap();
        writer.write(vec![content.slice(before..)]).await.unwrap();
        assert_eq!(read(&writer.seal().await.unwrap()).await, content, "{before} {len}");
        let location = writer.finish(&digest(&content)).await.unwrap().location;
        let blob = store.open(&digest(&content), &location).await.unwrap();
        assert_eq!(read(&blob).await, content, "{before} {len}");
    }
}

pub async fn an_aborted_upload_is_gone(store: Arc<dyn BlobStore>) {
    let handle = upload_of(&store, &bytes(8, 1000)).await;
    store.abort_upload(&handle).await.unwrap();
    assert!(is_lost(&store.continue_upload(&handle, 1000).await));
    assert!(is_lost(&store.open_upload(&handle, 1).await));
    let later = SystemTime::now() + Duration::from_secs(60);
    assert_eq!(stale(&store, later).await, []);
    // There is nothing left to give back, nor ever was.
    store.abort_upload(&handle).await.unwrap();
    let untouched = store.begin_upload(UploadId::random()).await.unwrap();
    store.abort_upload(&untouched).await.unwrap();
}

pub async fn no_blob_comes_of_an_upload_that_was_aborted_under_its_writer(
    store: Arc<dyn BlobStore>,
) {
    let content = bytes(9, 1000);
    for begun_again in [false, true] {
        let (handle, mut writer) = begin(&store).await;
        writer.write(vec![content.clone()]).await.unwrap();
        store.abort_upload(&handle).await.unwrap();
        let other = match begun_again {
            true => Some(store.continue_upload(&handle, 0).await.unwrap()),
            false => None,
        };
        assert!(is_lost(&writer.finish(&digest(&content)).await));
        assert!(store.open(&digest(&content), "").await.is_err());
        drop(other);
    }
}

pub async fn uploads_that_stood_still_are_found(store: Arc<dyn BlobStore>) {
    let id = UploadId::random();
    let handle = store.begin_upload(id).await.unwrap();
    let mut writer = store.continue_upload(&handle, 0).await.unwrap();
    writer.write(vec![bytes(10, 10)]).await.unwrap();
    let handle = writer.sync().await.unwrap();
    drop(writer);
    let (past, future) = (Duration::from_secs(60), Duration::from_secs(60));
    assert_eq!(stale(&store, SystemTime::now() - past).await, []);
    let found = stale(&store, SystemTime::now() + future).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id, id);
    // What is found can be given back, and read before.
    assert_eq!(read(&store.open_upload(&found[0].handle, 10).await.unwrap()).await, bytes(10, 10));
    store.abort_upload(&found[0].handle).await.unwrap();
    assert!(is_lost(&store.continue_upload(&handle, 10).await));
    assert_eq!(stale(&store, SystemTime::now() + future).await, []);
}
