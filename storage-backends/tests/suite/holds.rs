//! Who may write to an upload.

use std::sync::Arc;

use berth_storage_backends::{BlobStore, StoreError};
use bytes::Bytes;

use super::fixtures::{begin, bytes, digest, is_lost, upload_of};

fn is_busy<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Busy))
}

pub async fn an_upload_has_one_writer_at_a_time(store: Arc<dyn BlobStore>) {
    let handle = upload_of(&store, &bytes(1, 1000)).await;
    let mut writer = store.continue_upload(&handle, 1000).await.unwrap();
    for offset in [0, 500, 1000] {
        assert!(is_busy(&store.continue_upload(&handle, offset).await), "{offset}");
    }
    writer.write(vec![bytes(2, 10)]).await.unwrap();
    writer.sync().await.unwrap();
    assert!(is_busy(&store.continue_upload(&handle, 1010).await));
    // Others are not concerned.
    drop(begin(&store).await);
}

pub async fn letting_go_makes_room_for_the_next(store: Arc<dyn BlobStore>) {
    let (handle, mut writer) = begin(&store).await;
    writer.write(vec![bytes(1, 1000)]).await.unwrap();
    let handle = writer.sync().await.unwrap_or(handle);
    drop(writer);
    for _ in 0..10 {
        drop(store.continue_upload(&handle, 1000).await.unwrap());
    }
    // A writer that is dropped in the middle of a chunk lets go as well.
    let mut writer = store.continue_upload(&handle, 1000).await.unwrap();
    writer.write(vec![Bytes::from_static(b"never brought to stable storage")]).await.unwrap();
    drop(writer);
    let mut writer = store.continue_upload(&handle, 1000).await.unwrap();
    writer.write(vec![bytes(3, 10)]).await.unwrap();
    let whole = [bytes(1, 1000), bytes(3, 10)].concat();
    writer.finish(&digest(&whole)).await.unwrap();
}

pub async fn a_failed_attempt_holds_nothing(store: Arc<dyn BlobStore>) {
    let handle = upload_of(&store, &bytes(1, 1000)).await;
    assert!(is_lost(&store.continue_upload(&handle, 1001).await));
    let writer = store.continue_upload(&handle, 1000).await.unwrap();
    assert!(is_busy(&store.continue_upload(&handle, 1000).await));
    drop(writer);
    drop(store.continue_upload(&handle, 1000).await.unwrap());
}

pub async fn of_many_writers_one_gets_hold(store: Arc<dyn BlobStore>) {
    for _ in 0..20 {
        let handle = upload_of(&store, &bytes(1, 100)).await;
        let barrier = Arc::new(tokio::sync::Barrier::new(8));
        let attempts: Vec<_> = (0..8)
            .map(|_| {
                let (store, handle, barrier) = (store.clone(), handle.clone(), barrier.clone());
                tokio::spawn(async move {
                    barrier.wait().await;
                    store.continue_upload(&handle, 100).await
                })
            })
            .collect();
        let mut held = Vec::new();
        for attempt in attempts {
            match attempt.await.unwrap() {
                Ok(writer) => held.push(writer),
                Err(error) => assert!(matches!(error, StoreError::Busy), "{error}"),
            }
        }
        assert_eq!(held.len(), 1);
    }
}
