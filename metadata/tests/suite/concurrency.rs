use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use berth_metadata::{MountSource, NewManifest, UploadProgress};
use berth_oci::Reference;
use tokio::task::JoinSet;

use super::fixtures::*;

pub async fn pushes_of_many_clients_all_arrive(store: Store) {
    let mut clients = JoinSet::new();
    for client in 0..32 {
        let store = store.clone();
        clients.spawn(async move {
            for n in 0..10 {
                let upload = new_upload("app");
                store.create_upload(upload.clone()).await.unwrap();
                let layer = blob(&format!("layer {client} {n}"));
                let push = finished("app", Some(upload.id), layer.clone());
                assert!(finish(&store, push).await);
                let own = format!("c{client}-{n}");
                let image = NewManifest {
                    blobs: vec![(layer.digest, true)],
                    ..tagged("app", &format!("image {client} {n}"), &[&own, "latest"])
                };
                push_manifest(&store, image).await;
                let found = payload(&store, "app", &by_tag(&own)).await.unwrap();
                assert_eq!(found, format!("image {client} {n}"));
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }

    assert_eq!(all_tags(&store, "app").await.len(), 321);
    assert_eq!(all_repositories(&store).await, ["app"]);
    for client in 0..32 {
        for n in 0..10 {
            let layer = digest(format!("layer {client} {n}"));
            assert!(find_blob(&store, &repository("app"), &layer).await.is_some());
        }
    }
}

/// Writers move tags to ever higher versions and note each version once it is acknowledged. A
/// reader that begins after the note must never see an older one, cached or not.
pub async fn reads_see_what_was_acknowledged_before(store: Store) {
    const TAGS: usize = 4;
    const VERSIONS: u64 = 150;
    let acknowledged: Arc<[AtomicU64]> = (0..TAGS).map(|_| AtomicU64::new(0)).collect();
    for number in 0..TAGS {
        push_manifest(&store, tagged("app", "version 0", &[&format!("t{number}")])).await;
    }
    let mut tasks = JoinSet::new();
    for number in 0..TAGS {
        let (store, acknowledged) = (store.clone(), acknowledged.clone());
        tasks.spawn(async move {
            for version in 1..=VERSIONS {
                let image = tagged("app", &format!("version {version}"), &[&format!("t{number}")]);
                push_manifest(&store, image).await;
                acknowledged[number].store(version, Ordering::SeqCst);
            }
        });
    }
    for reader in 0..8 {
        let (store, acknowledged) = (store.clone(), acknowledged.clone());
        tasks.spawn(async move {
            let number = reader % TAGS;
            let reference = by_tag(&format!("t{number}"));
            loop {
                let at_least = acknowledged[number].load(Ordering::SeqCst);
                let found = payload(&store, "app", &reference).await.unwrap();
                let found: u64 = found.strip_prefix("version ").unwrap().parse().unwrap();
                assert!(found >= at_least, "read version {found} after {at_least}");
                if found == VERSIONS {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}

pub async fn one_of_many_finishers_wins(store: Store) {
    let upload = new_upload("app");
    store.create_upload(upload.clone()).await.unwrap();
    let mut finishers = JoinSet::new();
    for _ in 0..16 {
        let (store, push) = (store.clone(), finished("app", Some(upload.id), blob("layer")));
        finishers.spawn(async move { finish(&store, push).await });
    }
    let won = finishers.join_all().await;
    assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
}

pub async fn one_of_many_chunks_advances(store: Store) {
    let upload = new_upload("app");
    store.create_upload(upload.clone()).await.unwrap();
    let mut chunks = JoinSet::new();
    for n in 1..=16 {
        let progress = UploadProgress {
            id: upload.id,
            from_offset: 0,
            offset: n,
            hash_state: vec![1],
            handle: n.to_string(),
        };
        let store = store.clone();
        chunks.spawn(async move { store.advance_upload(progress).await.unwrap().then_some(n) });
    }
    let won: Vec<u64> = chunks.join_all().await.into_iter().flatten().collect();
    let read = store.upload(&upload.repository, upload.id).await.unwrap().unwrap();
    assert_eq!(won, [read.offset]);
    assert_eq!(read.handle, read.offset.to_string());
}

/// Waits for what must become true and stay so.
async fn eventually<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    let attempts = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), attempts).await.expect("it never became true");
}

/// Requests are dropped at every point where they can wait. What they asked for is done as a
/// whole or not at all, and the store goes on.
pub async fn a_dropped_request_leaves_no_half_state(store: Store) {
    for n in 0..50 {
        let upload = new_upload("app");
        store.create_upload(upload.clone()).await.unwrap();
        let content = format!("layer {n}");
        let name = format!("t{n}");
        let image = tagged("app", &format!("image {n}"), &[&name]);
        {
            let finish = store.finish_upload(finished("app", Some(upload.id), blob(&content)));
            let put = store.put_manifest(image);
            let both = async { tokio::join!(finish, put) };
            // As many polls as `n` says, then the requests are dropped.
            let polls = async {
                for _ in 0..n % 5 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! { biased; _ = both => {}, () = polls => {} }
        }
        // What was begun may go on for a moment after whoever asked has gone.
        push_blob(&store, "after", "layer").await;
        let is_whole = || async {
            let linked = find_blob(&store, &repository("app"), &digest(&content)).await.is_some();
            let open = store.upload_exists(upload.id).await.unwrap();
            let by_name = payload(&store, "app", &by_tag(&name)).await;
            let by_digest = Reference::Digest(digest(format!("image {n}")));
            // The session ends with the link, and the manifest comes with its tag.
            linked != open && by_name == payload(&store, "app", &by_digest).await
        };
        eventually(is_whole).await;
    }
    let mounted = store
        .mount_blob(&repository("app"), MountSource::Any, &digest("layer"), LEASE, &[])
        .await
        .unwrap();
    assert!(mounted.is_some());
}

pub async fn manifests_asked_for_at_the_same_time_are_each_answered_with_their_own(store: Store) {
    for number in 0..40 {
        let (name, payload) = (format!("app{}", number % 4), format!("payload {number}"));
        push_manifest(&store, tagged(&name, &payload, &[&format!("v{number}")])).await;
    }
    // By tag, by digest, in the wrong repository, absent, and given up by whoever asked.
    let mut readers = JoinSet::new();
    for number in 0..40 {
        let (payload_there, store) = (format!("payload {number}"), store.clone());
        let home = format!("app{}", number % 4);
        let elsewhere = format!("app{}", (number + 1) % 4);
        let by_digest = Reference::Digest(digest(&payload_there));
        let by_name = by_tag(&format!("v{number}"));
        for (name, reference, expected) in [
            (home.clone(), by_name.clone(), Some(payload_there.clone())),
            (home.clone(), by_digest.clone(), Some(payload_there)),
            (elsewhere.clone(), by_name, None),
            (elsewhere, by_digest, None),
            (home, by_tag("absent"), None),
            ("nowhere".to_owned(), by_tag("v1"), None),
        ] {
            let store = store.clone();
            readers.spawn(async move {
                assert_eq!(
                    payload(&store, &name, &reference).await,
                    expected,
                    "{name} {reference}"
                );
            });
        }
        readers.spawn(async move {
            let reference = Reference::Digest(digest("payload 0"));
            let asked = payload(&store, "app0", &reference);
            let _ = tokio::time::timeout(Duration::ZERO, asked).await;
        });
    }
    readers.join_all().await;
}
