use std::time::Duration;

use berth_metadata::{BlobLocation, BlobRecord, MountSource};
use berth_oci::LinkChange;
use bytes::Bytes;

use super::fixtures::*;

pub async fn changes_come_in_the_order_of_their_commits(store: Store) {
    let app = repository("app");
    let other = repository("other");
    let layer = push_blob(&store, "app", "layer").await.digest;
    push_manifest(&store, tagged("app", "one", &["b", "a"])).await;
    push_manifest(&store, tagged("app", "two", &["b"])).await;
    let source = MountSource::Repository(&app);
    assert!(store.mount_blob(&other, source, &layer, LEASE, &[]).await.unwrap().is_some());
    assert!(store.delete_tag(&app, &tag("b"), Duration::ZERO, &[]).await.unwrap());
    push_manifest(&store, tagged("app", "one", &["c"])).await;
    assert!(store.unlink_blob(&app, &layer, GRACE, &[]).await.unwrap());
    let before_the_end = changes(&store).await;
    assert!(delete(&store, &app, &digest("one"), Duration::ZERO, &[]).await);

    let one = || (app.clone(), digest("one"));
    let put = |payload: &'static str| LinkChange::PutManifest {
        repository: app.clone(),
        digest: digest(payload),
        payload: Bytes::from_static(payload.as_bytes()),
    };
    let set = |name: &str, payload: &str| LinkChange::SetTag {
        repository: app.clone(),
        tag: tag(name),
        digest: digest(payload),
    };
    let removed = |name: &str| LinkChange::DeleteTag { repository: app.clone(), tag: tag(name) };
    let expected = [
        LinkChange::LinkBlob { repository: app.clone(), digest: layer },
        put("one"),
        set("b", "one"),
        set("a", "one"),
        put("two"),
        set("b", "two"),
        LinkChange::LinkBlob { repository: other, digest: layer },
        removed("b"),
        set("c", "one"),
        LinkChange::UnlinkBlob { repository: app.clone(), digest: layer },
    ];
    assert_eq!(before_the_end, expected);
    let (repository, digest) = one();
    let end = [removed("a"), removed("c"), LinkChange::DeleteManifest { repository, digest }];
    assert_eq!(changes(&store).await[expected.len() - 1..], end);
}

pub async fn what_changes_nothing_leaves_no_entry(store: Store) {
    let app = repository("app");
    let layer = push_blob(&store, "app", "layer").await.digest;
    push_manifest(&store, tagged("app", "one", &["a"])).await;
    let before = changes(&store).await;

    push_blob(&store, "app", "layer").await;
    push_manifest(&store, tagged("app", "one", &["a"])).await;
    let source = MountSource::Repository(&app);
    assert!(store.mount_blob(&app, source, &layer, LEASE, &[]).await.unwrap().is_some());
    assert!(!store.delete_tag(&app, &tag("b"), Duration::ZERO, &[]).await.unwrap());
    assert!(!delete(&store, &app, &digest("two"), Duration::ZERO, &[]).await);
    assert!(!store.unlink_blob(&app, &digest("two"), GRACE, &[]).await.unwrap());
    store.create_upload(new_upload("app")).await.unwrap();

    assert_eq!(changes(&store).await, before);
}

pub async fn entries_stay_until_they_are_done(store: Store) {
    for n in 0..5 {
        push_blob(&store, "app", &format!("layer {n}")).await;
    }
    let all = store.outbox(100).await.unwrap();
    assert_eq!(all.len(), 5);
    assert_eq!(store.outbox(2).await.unwrap(), all[..2]);
    assert_eq!(store.outbox(100).await.unwrap(), all);

    let ids: Vec<_> = all.iter().map(|entry| entry.id).collect();
    store.outbox_done(&ids[..3]).await.unwrap();
    assert_eq!(store.outbox(100).await.unwrap(), all[3..]);
    store.outbox_done(&ids[..3]).await.unwrap();
    store.outbox_done(&[]).await.unwrap();
    store.outbox_done(&ids[3..]).await.unwrap();
    assert!(store.outbox(100).await.unwrap().is_empty());

    push_blob(&store, "app", "another").await;
    let next = store.outbox(100).await.unwrap();
    assert!(next[0].id > all[4].id, "places are never used again");
}

pub async fn a_manifest_deleted_since_is_left_out(store: Store) {
    push_manifest(&store, tagged("app", "one", &["a"])).await;
    assert!(delete(&store, &repository("app"), &digest("one"), Duration::ZERO, &[]).await);

    let left = changes(&store).await;
    assert!(!left.iter().any(|change| matches!(change, LinkChange::PutManifest { .. })));
    assert!(matches!(left.last(), Some(LinkChange::DeleteManifest { .. })));

    push_manifest(&store, tagged("app", "one", &["a"])).await;
    let left = changes(&store).await;
    assert!(matches!(left.last(), Some(LinkChange::SetTag { .. })));
    assert!(matches!(left[left.len() - 2], LinkChange::PutManifest { .. }));
}

pub async fn entries_tell_what_stands_by_now(store: Store) {
    let layer = push_blob(&store, "app", "layer").await;
    push_manifest(&store, tagged("app", "one", &["a", "b"])).await;
    assert!(store.delete_tag(&repository("app"), &tag("b"), Duration::ZERO, &[]).await.unwrap());
    let now = store.now().await.unwrap();
    let entries = store.outbox(100).await.unwrap();
    let standing = |place: usize| entries[place].standing.as_ref();
    for entry in &entries[..3] {
        let written_at = entry.standing.as_ref().unwrap().written_at;
        let age = now.duration_since(written_at).unwrap_or_default();
        assert!(age < Duration::from_secs(600), "{entry:?}");
    }
    assert_eq!(standing(0).unwrap().blob, Some(layer));
    let media_type = manifest("app", "one").media_type;
    assert_eq!(standing(1).unwrap().media_type, Some(media_type));
    assert!(matches!(entries[3].change, LinkChange::SetTag { .. }));
    assert_eq!(standing(3), None, "the tag has gone since");
    assert!(matches!(entries[4].change, LinkChange::DeleteTag { .. }));
    assert_eq!(standing(4), None);

    assert!(store.unlink_blob(&repository("app"), &digest("layer"), GRACE, &[]).await.unwrap());
    assert_eq!(store.outbox(1).await.unwrap()[0].standing, None, "the link has gone since");
}

pub async fn a_blob_that_has_moved_is_told_again(store: Store) {
    let place = |place: &str| BlobLocation(place.to_owned());
    let blob = |at: &str| BlobRecord { location: place(at), ..blob("layer") };
    for at in ["first", "first", "second"] {
        assert!(finish(&store, finished("app", None, blob(at))).await);
    }
    let entries = store.outbox(100).await.unwrap();
    let link = LinkChange::LinkBlob { repository: repository("app"), digest: digest("layer") };
    let told: Vec<_> = entries.iter().map(|entry| &entry.change).collect();
    assert_eq!(told, [&link, &link], "once for each place");
    for entry in &entries {
        let standing = entry.standing.as_ref().unwrap();
        assert_eq!(standing.blob, Some(blob("second")));
    }
}

pub async fn a_listing_is_not_cut_short_by_entries_left_out(store: Store) {
    for n in 0..3 {
        let payload = format!("manifest {n}");
        push_manifest(&store, manifest("app", &payload)).await;
        assert!(delete(&store, &repository("app"), &digest(&payload), Duration::ZERO, &[]).await);
    }

    let first = store.outbox(1).await.unwrap();
    assert!(matches!(first[0].change, LinkChange::DeleteManifest { .. }));
}

pub async fn waiting_ends_when_an_entry_comes(store: Store) {
    let drained = tokio::spawn({
        let store = store.clone();
        async move {
            let mut seen = 0;
            while seen < 3 {
                store.outbox_filled().await;
                let entries = store.outbox(100).await.unwrap();
                seen += entries.len();
                let done: Vec<_> = entries.iter().map(|entry| entry.id).collect();
                store.outbox_done(&done).await.unwrap();
            }
        }
    });
    for n in 0..3 {
        push_blob(&store, "app", &format!("layer {n}")).await;
    }
    tokio::time::timeout(Duration::from_secs(60), drained).await.unwrap().unwrap();
    assert!(store.outbox(100).await.unwrap().is_empty());
}
