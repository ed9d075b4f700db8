use std::time::Duration;

use berth_metadata::{BlobLocation, BlobRecord};

use crate::suite::fixtures::*;

fn quarantine() -> BlobLocation {
    BlobLocation("!quarantine".to_owned())
}

async fn damage(upkeep: &Upkeep, blob: &BlobRecord) -> bool {
    upkeep.quarantine_blob(blob, &quarantine(), "a bit flipped").await.unwrap()
}

pub async fn blobs_are_listed_in_pages(store: Store, upkeep: Upkeep) {
    let mut pushed = Vec::new();
    for content in ["one", "two", "three", "four", "five"] {
        pushed.push(push_blob(&store, "app", content).await);
        push_blob(&store, "other", content).await;
    }
    let (mut after, mut listed) = (None, Vec::new());
    loop {
        let page = upkeep.blobs(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.cursor);
        listed.extend(page.into_iter().map(|named| named.blob));
    }
    assert_eq!(listed, pushed);
    assert_eq!(upkeep.blob_anywhere(&digest("two")).await.unwrap(), Some(blob("two")));
    assert_eq!(upkeep.blob_anywhere(&digest("six")).await.unwrap(), None);
    let mut names = upkeep.repositories_of_blob(&digest("two"), 10).await.unwrap();
    names.sort();
    assert_eq!(names, [repository("app"), repository("other")]);
}

pub async fn a_damaged_blob_is_told_until_it_is_pushed_again(store: Store, upkeep: Upkeep) {
    let pushed = push_blob(&store, "app", "one").await;
    // So that it is remembered.
    assert!(find_blob(&store, &repository("app"), &pushed.digest).await.is_some());
    assert!(damage(&upkeep, &pushed).await);

    let found = find_blob(&store, &repository("app"), &pushed.digest).await.unwrap();
    assert_eq!(found.location, quarantine());
    let damaged = upkeep.damaged_blobs(None, 10).await.unwrap().entries;
    assert_eq!(damaged.len(), 1);
    assert_eq!((&damaged[0].blob, &*damaged[0].reason), (&found, "a bit flipped"));
    let behind = upkeep.damaged_blobs(Some(&pushed.digest), 10).await.unwrap();
    assert_eq!(behind.entries, []);

    push_blob(&store, "app", "one").await;
    assert_eq!(upkeep.damaged_blobs(None, 10).await.unwrap().entries, []);
    assert_eq!(find_blob(&store, &repository("app"), &pushed.digest).await, Some(pushed));
    let old = store.removal(&digest("one"), &quarantine()).await.unwrap();
    assert!(old.is_some(), "the damaged bytes are garbage");
}

pub async fn a_blob_that_was_replaced_is_not_quarantined(store: Store, upkeep: Upkeep) {
    let pushed = push_blob(&store, "app", "one").await;
    let elsewhere = BlobLocation("elsewhere".to_owned());
    let before = BlobRecord { location: elsewhere, ..pushed.clone() };
    assert!(!damage(&upkeep, &before).await);
    assert_eq!(find_blob(&store, &repository("app"), &pushed.digest).await, Some(pushed));
    assert_eq!(upkeep.damaged_blobs(None, 10).await.unwrap().entries, []);
    assert!(!damage(&upkeep, &blob("nowhere")).await);
}

pub async fn a_damaged_blob_that_goes_is_forgotten(store: Store, upkeep: Upkeep) {
    let pushed = push_blob(&store, "app", "one").await;
    assert!(damage(&upkeep, &pushed).await);
    let gone = store.unlink_blob(&repository("app"), &pushed.digest, Duration::ZERO, &[]).await;
    assert!(gone.unwrap());
    assert_eq!(upkeep.damaged_blobs(None, 10).await.unwrap().entries, []);
    let taken = store.take_garbage(10, LEASE).await.unwrap();
    assert_eq!(taken[0].blob.location, quarantine());
}

pub async fn the_position_is_kept(store: Store, upkeep: Upkeep) {
    push_blob(&store, "app", "one").await;
    assert_eq!(upkeep.scrub_position().await.unwrap(), None);
    let cursor = upkeep.blobs(None, 1).await.unwrap()[0].cursor;
    for position in [Some(cursor), Some(cursor), None] {
        upkeep.set_scrub_position(position).await.unwrap();
        assert_eq!(upkeep.scrub_position().await.unwrap(), position);
    }
}
