use berth_metadata::MetadataError;

use super::fixtures::*;

pub async fn a_closed_store_says_so(store: Store) {
    push_manifest(&store, tagged("app", "one", &["a"])).await;
    let record = push_blob(&store, "app", "layer").await;
    let app = repository("app");
    store.ping().await.unwrap();
    // Asked before: no answer that is kept in memory outlives the store.
    assert!(payload(&store, "app", &by_tag("a")).await.is_some());
    assert!(store.blob(&app, &record.digest).await.unwrap().is_some());
    store.close().await;

    assert!(matches!(store.ping().await, Err(MetadataError::Closed)));
    assert!(matches!(store.manifest(&app, &by_tag("a")).await, Err(MetadataError::Closed)));
    assert!(matches!(store.blob(&app, &record.digest).await, Err(MetadataError::Closed)));
    assert!(matches!(store.repositories(None, 1).await, Err(MetadataError::Closed)));
    assert!(matches!(store.create_upload(new_upload("app")).await, Err(MetadataError::Closed)));
    let push = store.put_manifest(manifest("app", "two")).await;
    assert!(matches!(push, Err(MetadataError::Closed)));
}

pub async fn closing_twice_is_harmless(store: Store) {
    push_blob(&store, "app", "layer").await;
    tokio::join!(store.close(), store.close());
    store.close().await;
    assert!(matches!(store.ping().await, Err(MetadataError::Closed)));
}

pub async fn what_was_queued_before_the_close_is_committed(store: Store) {
    let pushes: Vec<_> = (0..100)
        .map(|n| {
            let store = store.clone();
            let push = finished("app", None, blob(&format!("layer {n}")));
            tokio::spawn(async move { store.finish_upload(push).await })
        })
        .collect();
    store.close().await;

    // Each was either taken and committed, or told that the store is closed; none hangs.
    for push in pushes {
        assert!(matches!(push.await.unwrap(), Ok(true) | Err(MetadataError::Closed)));
    }
}
