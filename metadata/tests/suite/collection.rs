use std::time::Duration;

use berth_metadata::lifecycle::{Removal, Verdict};
use berth_metadata::{
    BlobLocation, BlobRecord, DueLink, FinishedUpload, GarbageId, MountSource, NewManifest,
    RecordedUpload, ReviewedLinks, TakenGarbage,
};

use super::fixtures::*;

const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(3600);

/// A blob that is found by its digest, as a filesystem does.
fn by_digest(content: &str) -> BlobRecord {
    BlobRecord { location: BlobLocation::default(), ..blob(content) }
}

/// Pushes a blob with a lease.
async fn push(store: &Store, name: &str, blob: &BlobRecord, lease: Duration) {
    let push = FinishedUpload { lease, ..finished(name, None, blob.clone()) };
    assert!(finish(store, push).await);
}

/// A manifest that needs one blob.
fn needs(name: &str, payload: &str, blob: &BlobRecord) -> NewManifest {
    NewManifest { blobs: vec![(blob.digest, true)], ..manifest(name, payload) }
}

async fn has(store: &Store, name: &str, blob: &BlobRecord) -> bool {
    find_blob(store, &repository(name), &blob.digest).await.is_some()
}

async fn take(store: &Store) -> Vec<TakenGarbage> {
    store.take_garbage(100, LONG).await.unwrap()
}

/// Pushes a blob and makes garbage of it, to be removed at once.
async fn discard(store: &Store, blob: &BlobRecord) -> GarbageId {
    push(store, "app", blob, NOW).await;
    assert_eq!(review_all(store, NOW).await.released, 1);
    let taken = take(store).await;
    assert_eq!(taken.len(), 1);
    assert_eq!((&taken[0].blob, taken[0].id.round), (blob, 1));
    taken[0].id
}

pub async fn a_link_goes_when_nothing_needs_it_and_its_lease_is_over(store: Store) {
    let (leased, over) = (blob("leased"), blob("over"));
    push(&store, "app", &leased, LONG).await;
    push(&store, "app", &over, NOW).await;

    let reviewed = review_all(&store, NOW).await;

    let expected = ReviewedLinks { kept: 0, unlinked: 1, released: 1, released_bytes: over.size };
    assert_eq!(reviewed, expected);
    assert!(has(&store, "app", &leased).await && !has(&store, "app", &over).await);
    let mounted =
        store.mount_blob(&repository("b"), MountSource::Any, &over.digest, LONG, &[]).await;
    assert_eq!(mounted.unwrap(), None);
}

pub async fn a_link_that_a_manifest_needs_stays_until_the_manifest_goes(store: Store) {
    let layer = blob("layer");
    for name in ["app", "other"] {
        push(&store, name, &layer, NOW).await;
    }
    for payload in ["one", "two"] {
        store.put_manifest(needs("app", payload, &layer)).await.unwrap();
    }

    // The manifests of one repository keep nothing in another.
    let reviewed = review_all(&store, NOW).await;
    assert_eq!((reviewed.kept, reviewed.unlinked, reviewed.released), (1, 1, 0));
    assert!(has(&store, "app", &layer).await && !has(&store, "other", &layer).await);

    for (payload, stays) in [("one", true), ("two", false)] {
        let app = repository("app");
        assert!(delete(&store, &app, &digest(payload), Duration::ZERO, &[]).await);
        review_all(&store, NOW).await;
        assert_eq!(has(&store, "app", &layer).await, stays, "{payload}");
    }
}

pub async fn what_a_deleted_manifest_needed_stays_as_long_as_was_said(store: Store) {
    let layer = blob("layer");
    push(&store, "app", &layer, NOW).await;
    store.put_manifest(needs("app", "one", &layer)).await.unwrap();
    review_all(&store, NOW).await;

    assert!(delete(&store, &repository("app"), &digest("one"), LONG, &[]).await);

    assert_eq!(review_all(&store, NOW).await, ReviewedLinks::default());
    assert!(has(&store, "app", &layer).await);
}

pub async fn a_promise_keeps_a_link(store: Store) {
    let layer = blob("layer");
    push(&store, "app", &layer, NOW).await;
    let app = repository("app");
    let left = store.blob(&app, &layer.digest).await.unwrap().unwrap().leased_for;
    assert_eq!(left, Duration::ZERO);

    assert!(store.lease_blob(&app, &layer.digest, LONG).await.unwrap());

    let left = store.blob(&app, &layer.digest).await.unwrap().unwrap().leased_for;
    assert!(left > LONG / 2, "{left:?}");
    assert_eq!(review_all(&store, NOW).await.unlinked, 0);
    assert!(has(&store, "app", &layer).await);
    for (name, digest) in [("app", digest("unknown")), ("unknown", layer.digest)] {
        assert!(!store.lease_blob(&repository(name), &digest, LONG).await.unwrap());
    }
}

pub async fn a_promise_outlives_the_manifest(store: Store) {
    let layer = blob("layer");
    push(&store, "app", &layer, NOW).await;
    store.put_manifest(needs("app", "one", &layer)).await.unwrap();
    review_all(&store, NOW).await;
    assert!(store.lease_blob(&repository("app"), &layer.digest, LONG).await.unwrap());

    assert!(delete(&store, &repository("app"), &digest("one"), NOW, &[]).await);

    review_all(&store, NOW).await;
    assert!(has(&store, "app", &layer).await);
}

pub async fn due_links_are_told_and_left(store: Store) {
    let (layer, shared) = (blob("layer"), blob("shared"));
    push(&store, "app", &layer, NOW).await;
    for name in ["app", "other"] {
        push(&store, name, &shared, NOW).await;
    }
    store.put_manifest(needs("other", "one", &shared)).await.unwrap();

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.due_links(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.cursor);
        seen.extend(page);
    }

    let told = |link: DueLink| {
        (link.repository.to_string(), link.digest, link.verdict == Verdict::Unlink, link.is_last)
    };
    let mut seen: Vec<_> = seen.into_iter().map(told).collect();
    seen.sort();
    let mut expected = vec![
        ("app".to_owned(), layer.digest, true, true),
        ("app".to_owned(), shared.digest, true, false),
        ("other".to_owned(), shared.digest, false, false),
    ];
    expected.sort();
    assert_eq!(seen, expected);
    assert!(has(&store, "app", &layer).await);
}

pub async fn garbage_is_removed_after_the_grace_period_alone(store: Store) {
    let (one, other) = (blob("one"), blob("other"));
    push(&store, "app", &one, NOW).await;
    push(&store, "app", &other, LONG).await;
    review_all(&store, LONG).await;
    assert!(store.unlink_blob(&repository("app"), &other.digest, LONG, &[]).await.unwrap());

    assert!(take(&store).await.is_empty());

    // Its bytes are no orphan meanwhile.
    let place = [one.location.0.clone()];
    assert!(store.location_prefixes_without_blob(&place).await.unwrap().is_empty());
    let backlog = store.collection_backlog().await.unwrap();
    assert_eq!((backlog.link, backlog.garbage), (None, None));
}

pub async fn garbage_is_taken_once(store: Store) {
    assert!(!store.is_removing().await.unwrap());
    let id = discard(&store, &blob("layer")).await;
    assert!(take(&store).await.is_empty());
    assert!(store.is_removing().await.unwrap());

    store.garbage_removed(&[id]).await.unwrap();
    assert!(!store.is_removing().await.unwrap());

    assert!(take(&store).await.is_empty());
    let layer = blob("layer");
    assert_eq!(store.removal(&layer.digest, &layer.location).await.unwrap(), None);
}

pub async fn garbage_that_nobody_finished_with_is_taken_again(store: Store) {
    let layer = blob("layer");
    push(&store, "app", &layer, NOW).await;
    review_all(&store, NOW).await;
    let first = store.take_garbage(100, Duration::ZERO).await.unwrap();
    assert_eq!(first[0].id.round, 1);
    let backlog = store.collection_backlog().await.unwrap();
    assert!(backlog.garbage.is_some());

    let second = take(&store).await;

    assert_eq!((&second[0].blob, second[0].id.round), (&first[0].blob, 2));
    // Who was too slow has no say any longer.
    store.garbage_removed(&[first[0].id]).await.unwrap();
    store.garbage_failed(&[first[0].id], NOW).await.unwrap();
    let removal = store.removal(&layer.digest, &layer.location).await.unwrap();
    assert!(matches!(removal, Some(Removal::Running { round: 2, .. })), "{removal:?}");
}

pub async fn garbage_that_was_not_removed_is_taken_after_a_pause(store: Store) {
    let layer = by_digest("layer");
    let id = discard(&store, &layer).await;
    store.garbage_failed(&[id], LONG).await.unwrap();
    assert!(take(&store).await.is_empty());
    let removal = store.removal(&layer.digest, &layer.location).await.unwrap();
    assert_eq!(removal, Some(Removal::Failed { round: 1 }));

    store.garbage_failed(&[id], NOW).await.unwrap();

    assert_eq!(take(&store).await[0].id.round, 2);
}

pub async fn a_push_takes_its_bytes_out_of_the_garbage(store: Store) {
    let layer = by_digest("layer");
    push(&store, "app", &layer, NOW).await;
    review_all(&store, NOW).await;

    push(&store, "app", &layer, LONG).await;

    assert!(take(&store).await.is_empty());
    assert!(has(&store, "app", &layer).await);
    assert_eq!(store.removal(&layer.digest, &layer.location).await.unwrap(), None);
}

pub async fn bytes_of_a_place_that_a_push_left_are_garbage(store: Store) {
    let old = blob("layer");
    push(&store, "app", &old, LONG).await;
    let new = BlobRecord { location: BlobLocation("elsewhere".to_owned()), ..old.clone() };

    let again = FinishedUpload { grace: NOW, ..finished("other", None, new.clone()) };
    assert!(finish(&store, again.clone()).await && finish(&store, again).await);

    let taken = take(&store).await;
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].blob, old);
    assert!(has(&store, "app", &new).await);
}

/// A storage tree has files of manifests, too.
pub async fn the_file_of_a_manifest_is_garbage_with_the_last_one(store: Store) {
    let file = by_digest("one");
    for name in ["app", "other"] {
        store.put_manifest(manifest(name, "one")).await.unwrap();
    }
    for (name, is_last) in [("app", false), ("other", true)] {
        assert!(delete(&store, &repository(name), &file.digest, NOW, &[]).await);
        let taken = take(&store).await;
        assert_eq!(taken.iter().any(|one| one.blob == file), is_last, "{name}");
    }
}

pub async fn the_file_of_a_manifest_that_is_pushed_again_stays(store: Store) {
    let (app, file) = (repository("app"), by_digest("one"));
    store.put_manifest(manifest("app", "one")).await.unwrap();
    assert!(delete(&store, &app, &file.digest, NOW, &[]).await);
    store.put_manifest(manifest("app", "one")).await.unwrap();
    assert!(take(&store).await.is_empty());

    // Nor do bytes go that are a blob as well.
    push(&store, "app", &file, LONG).await;
    assert!(delete(&store, &app, &file.digest, NOW, &[]).await);
    assert!(take(&store).await.is_empty());

    // And the other way round.
    store.put_manifest(manifest("app", "one")).await.unwrap();
    assert!(store.unlink_blob(&app, &file.digest, NOW, &[]).await.unwrap());
    assert!(take(&store).await.is_empty());
}

/// A file is written after the commit, when the manifest may be gone again.
pub async fn a_file_that_was_written_too_late_is_garbage(store: Store) {
    let (app, file) = (repository("app"), by_digest("one"));
    store.put_manifest(manifest("app", "one")).await.unwrap();
    assert!(store.discard_files(&[file.digest]).await.unwrap());
    assert!(delete(&store, &app, &file.digest, NOW, &[]).await);
    let id = take(&store).await[0].id;
    assert!(!store.discard_files(&[file.digest]).await.unwrap(), "it is being removed");
    store.garbage_removed(&[id]).await.unwrap();
    assert!(take(&store).await.is_empty());

    let files = [file.digest, digest("never here"), file.digest, digest("never here")];
    assert!(store.discard_files(&files).await.unwrap());

    let mut again: Vec<_> = take(&store).await.iter().map(|one| one.blob.digest).collect();
    again.sort();
    let mut expected = [file.digest, digest("never here")];
    expected.sort();
    assert_eq!(again, expected);
}

/// Nobody goes on with the removal: what stands for the file keeps others from it.
pub async fn a_collector_that_has_died_over_a_file_is_not_waited_for(store: Store) {
    let (app, file) = (repository("app"), by_digest("one"));
    store.put_manifest(manifest("app", "one")).await.unwrap();
    assert!(delete(&store, &app, &file.digest, NOW, &[]).await);
    assert_eq!(store.take_garbage(10, NOW).await.unwrap().len(), 1);
    store.put_manifest(manifest("app", "one")).await.unwrap();

    assert!(take(&store).await.is_empty());
    let removal = store.removal(&file.digest, &file.location).await.unwrap().unwrap();
    assert!(!removal.is_running(store.now().await.unwrap()), "{removal:?}");
    assert!(store.discard_files(&[file.digest]).await.unwrap());
}

pub async fn a_push_whose_session_is_gone_leaves_the_garbage(store: Store) {
    let layer = by_digest("layer");
    push(&store, "app", &layer, NOW).await;
    review_all(&store, NOW).await;

    let push = finished("app", Some(new_upload("app").id), layer.clone());
    assert!(!finish(&store, push).await);

    assert_eq!(take(&store).await[0].blob, layer);
}

pub async fn a_push_to_another_place_leaves_the_garbage(store: Store) {
    let old = blob("layer");
    push(&store, "app", &old, NOW).await;
    review_all(&store, NOW).await;
    let new = BlobRecord { location: BlobLocation("elsewhere".to_owned()), ..old.clone() };

    push(&store, "app", &new, LONG).await;

    assert_eq!(take(&store).await[0].blob, old);
    assert_eq!(find_blob(&store, &repository("app"), &new.digest).await, Some(new));
}

pub async fn a_push_waits_for_the_end_of_a_removal_and_looks(store: Store) {
    let layer = by_digest("layer");
    let id = discard(&store, &layer).await;
    let upload = new_upload("app");
    store.create_upload(upload.clone()).await.unwrap();
    let push = finished("app", Some(upload.id), layer.clone());
    let try_to = |seen| store.finish_upload(FinishedUpload { seen, ..push.clone() });

    for seen in [None, Some(1)] {
        assert_eq!(try_to(seen).await.unwrap(), RecordedUpload::Unsure, "while it runs");
    }
    store.garbage_removed(&[id]).await.unwrap();
    let removal = store.removal(&layer.digest, &layer.location).await.unwrap();
    assert_eq!(removal, Some(Removal::Gone { round: 1 }));
    for seen in [None, Some(0), Some(2)] {
        assert_eq!(try_to(seen).await.unwrap(), RecordedUpload::Unsure, "{seen:?}");
    }
    // Nothing has changed meanwhile.
    assert!(!has(&store, "app", &layer).await);
    assert!(store.upload_exists(upload.id).await.unwrap());

    assert_eq!(try_to(Some(1)).await.unwrap(), RecordedUpload::Linked);

    assert!(has(&store, "app", &layer).await);
    assert!(!store.upload_exists(upload.id).await.unwrap());
    assert_eq!(store.removal(&layer.digest, &layer.location).await.unwrap(), None);
    // And it can become garbage once more.
    assert!(store.unlink_blob(&repository("app"), &layer.digest, NOW, &[]).await.unwrap());
    assert_eq!(take(&store).await[0].id.round, 1);
}
