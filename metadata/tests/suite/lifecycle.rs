use std::time::{Duration, UNIX_EPOCH};

use berth_metadata::{Job, MetadataError, RecordedUpload};

use super::fixtures::*;

pub async fn a_closed_store_says_so(store: Store) {
    push_manifest(&store, tagged("app", "one", &["a"])).await;
    let record = push_blob(&store, "app", "layer").await;
    let app = repository("app");
    store.ping().await.unwrap();
    // Asked before: no answer that is kept in memory outlives the store.
    assert!(payload(&store, "app", &by_tag("a")).await.is_some());
    assert!(find_blob(&store, &app, &record.digest).await.is_some());
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
        assert!(matches!(
            push.await.unwrap(),
            Ok(RecordedUpload::Linked) | Err(MetadataError::Closed)
        ));
    }
}

pub async fn the_place_of_the_blobs_is_recorded_once(store: Store) {
    store.bind_storage("the bucket a").await.unwrap();
    store.bind_storage("the bucket a").await.unwrap();

    let error = store.bind_storage("the bucket b").await.unwrap_err();
    assert!(matches!(&error, MetadataError::OtherStorage { recorded, configured }
        if recorded == "the bucket a" && configured == "the bucket b"));

    store.rebind_storage("the bucket b").await.unwrap();
    store.bind_storage("the bucket b").await.unwrap();
    assert!(store.bind_storage("the bucket a").await.is_err());
}

pub async fn a_job_is_kept_and_left(store: Store) {
    let (minute, no_pause) = (Duration::from_secs(60), Duration::ZERO);
    for job in [Job::Links, Job::Purge, Job::Deliver("hook".into()), Job::EventLimits] {
        assert!(store.take_job(job.clone(), minute, no_pause).await.unwrap());
        assert!(store.take_job(job.clone(), minute, no_pause).await.unwrap());
        store.leave_job(job.clone(), false).await.unwrap();
        assert!(store.take_job(job.clone(), minute, minute).await.unwrap(), "it was not done");
    }
}

pub async fn the_time_goes_on(store: Store) {
    let first = store.now().await.unwrap();
    let second = store.now().await.unwrap();
    assert!(second >= first && first > UNIX_EPOCH);
}
