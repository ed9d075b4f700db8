use berth_metadata::{BlobLocation, BlobRecord, MountSource};

use super::fixtures::*;

pub async fn a_finished_upload_is_linked_in_its_repository_alone(store: Store) {
    let upload = new_upload("team/app");
    store.create_upload(upload.clone()).await.unwrap();
    let record = blob("layer");

    assert!(finish(&store, finished("team/app", Some(upload.id), record.clone())).await);

    let found = find_blob(&store, &repository("team/app"), &record.digest).await;
    assert_eq!(found, Some(record.clone()));
    assert_eq!(find_blob(&store, &repository("team/app-extra"), &record.digest).await, None);
    assert_eq!(store.upload(&repository("team/app"), upload.id).await.unwrap(), None);
}

pub async fn a_blob_without_a_session_is_linked(store: Store) {
    let record = push_blob(&store, "app", "layer").await;

    for _ in 0..2 {
        let found = find_blob(&store, &repository("app"), &record.digest).await;
        assert_eq!(found, Some(record.clone()));
    }
}

pub async fn beginnings_of_locations_that_no_blob_has_are_told(store: Store) {
    let whole = push_blob(&store, "app", "layer").await.location.0;
    let longer = format!("{whole}0");
    for middle in 1..=whole.len() {
        let unknown = format!("{}!", &whole[..middle]);
        let asked = [whole[..middle].to_owned(), unknown.clone(), longer.clone()];
        let without_blob = store.location_prefixes_without_blob(&asked).await.unwrap();
        assert_eq!(without_blob, [unknown, longer.clone()], "{middle}");
    }
    assert!(store.location_prefixes_without_blob(&[]).await.unwrap().is_empty());
}

pub async fn finishing_a_cancelled_session_changes_nothing(store: Store) {
    let upload = new_upload("app");
    store.create_upload(upload.clone()).await.unwrap();
    assert!(store.delete_upload(&repository("app"), upload.id).await.unwrap());
    let record = blob("layer");

    assert!(!finish(&store, finished("app", Some(upload.id), record.clone())).await);

    assert_eq!(find_blob(&store, &repository("app"), &record.digest).await, None);
    assert!(!store.repository_exists(&repository("app")).await.unwrap());
    assert!(changes(&store).await.is_empty());
}

pub async fn a_session_is_finished_in_its_own_repository_alone(store: Store) {
    let upload = new_upload("app");
    store.create_upload(upload.clone()).await.unwrap();

    let elsewhere = finished("other", Some(upload.id), blob("layer"));
    assert!(!finish(&store, elsewhere).await);

    assert!(store.upload_exists(upload.id).await.unwrap());
    assert!(!store.repository_exists(&repository("other")).await.unwrap());
}

pub async fn a_push_again_corrects_size_and_location_everywhere(store: Store) {
    let old = push_blob(&store, "one", "layer").await;
    push_blob(&store, "two", "layer").await;
    // Both repositories have been asked, so an answer may be kept for both.
    for name in ["one", "two"] {
        let found = find_blob(&store, &repository(name), &old.digest).await;
        assert_eq!(found, Some(old.clone()));
    }

    let new = BlobRecord { size: 7, location: BlobLocation("elsewhere".to_owned()), ..old };
    assert!(finish(&store, finished("one", None, new.clone())).await);

    for name in ["one", "two"] {
        let found = find_blob(&store, &repository(name), &new.digest).await;
        assert_eq!(found, Some(new.clone()), "{name}");
    }
}

pub async fn a_mount_links_what_the_source_links(store: Store) {
    let record = push_blob(&store, "source", "layer").await;
    let (source, target) = (repository("source"), repository("target"));

    for _ in 0..2 {
        let mounted = store
            .mount_blob(&target, MountSource::Repository(&source), &record.digest, LEASE, &[])
            .await
            .unwrap();
        assert_eq!(mounted, Some(record.clone()));
    }

    assert_eq!(find_blob(&store, &target, &record.digest).await, Some(record));
}

pub async fn a_mount_from_a_repository_without_the_link_is_refused(store: Store) {
    let record = push_blob(&store, "owner", "layer").await;
    push_blob(&store, "source", "something else").await;
    let target = repository("target");

    for source in ["source", "unknown"] {
        let source = repository(source);
        let mounted = store
            .mount_blob(&target, MountSource::Repository(&source), &record.digest, LEASE, &[])
            .await
            .unwrap();
        assert_eq!(mounted, None);
    }

    assert_eq!(find_blob(&store, &target, &record.digest).await, None);
    assert!(!store.repository_exists(&target).await.unwrap());
}

pub async fn a_mount_from_anywhere_needs_some_link(store: Store) {
    let record = push_blob(&store, "owner", "layer").await;
    let target = repository("target");
    let unknown = digest("unknown");
    assert_eq!(
        store.mount_blob(&target, MountSource::Any, &unknown, LEASE, &[]).await.unwrap(),
        None
    );

    assert!(store.unlink_blob(&repository("owner"), &record.digest, GRACE, &[]).await.unwrap());
    let mounted = store.mount_blob(&target, MountSource::Any, &record.digest, LEASE, &[]).await;
    assert_eq!(mounted.unwrap(), None, "no repository links it any longer");

    push_blob(&store, "owner", "layer").await;
    let mounted = store.mount_blob(&target, MountSource::Any, &record.digest, LEASE, &[]).await;
    assert_eq!(mounted.unwrap(), Some(record));
}

pub async fn an_unlinked_blob_is_gone_from_its_repository_alone(store: Store) {
    let record = push_blob(&store, "one", "layer").await;
    push_blob(&store, "two", "layer").await;
    let (one, two) = (repository("one"), repository("two"));
    assert!(find_blob(&store, &one, &record.digest).await.is_some());

    assert!(store.unlink_blob(&one, &record.digest, GRACE, &[]).await.unwrap());

    assert_eq!(find_blob(&store, &one, &record.digest).await, None);
    assert_eq!(find_blob(&store, &two, &record.digest).await, Some(record.clone()));
    assert!(!store.unlink_blob(&one, &record.digest, GRACE, &[]).await.unwrap());
    assert!(!store.unlink_blob(&repository("unknown"), &record.digest, GRACE, &[]).await.unwrap());
}
