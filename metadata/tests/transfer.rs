//! Copying a database into another one, of either engine.
#![allow(clippy::expect_used, clippy::unwrap_used, dead_code, unreachable_pub)]

#[path = "suite/fixtures.rs"]
mod fixtures;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use berth_metadata::{
    Changes, Endpoint, Event, EventAction, Follower, Keep, MetadataError, NewEvent, NewManifest,
    PostgresOptions, PostgresStore, SqliteLocation, SqliteOptions, SqliteStore, TagUse, Transfer,
    snapshot, would_migrate,
};
use berth_oci::Reference;
use berth_test_stores::Postgres;
use fixtures::*;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use tempfile::{TempDir, tempdir};
use uuid::Uuid;

static SERVER: LazyLock<Postgres> =
    LazyLock::new(|| Postgres::options().fsync(false).start().expect("a PostgreSQL server"));

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("metadata.db")
}

async fn open_file(path: &Path) -> Result<Store, MetadataError> {
    let location = SqliteLocation::File(path.to_owned());
    let options = SqliteOptions { follower: Follower::Tree, ..SqliteOptions::new(location) };
    Ok(Arc::new(SqliteStore::open(options).await?))
}

fn options(url: &str) -> PostgresOptions {
    PostgresOptions { follower: Follower::Tree, ..PostgresOptions::new(url) }
}

async fn open_url(url: &str) -> Result<Store, MetadataError> {
    Ok(Arc::new(PostgresStore::open(options(url)).await?))
}

fn sqlite(path: &Path) -> Endpoint {
    Endpoint::Sqlite(path.to_owned())
}

fn postgres(url: &str) -> Endpoint {
    Endpoint::Postgres(options(url))
}

/// Something of everything.
async fn fill(store: &Store) {
    store.bind_storage("the bucket a").await.unwrap();
    for number in 0..3 {
        let layer = push_blob(store, "app", &format!("layer {number}")).await;
        let image = NewManifest {
            blobs: vec![(layer.digest, true)],
            subject: (number > 0).then(|| digest("image 0")),
            artifact_type: Some("text/plain".to_owned()),
            annotations: Some(BTreeMap::from([("key".to_owned(), "välue".to_owned())])),
            ..tagged("app", &format!("image {number}"), &[&format!("v{number}"), "latest"])
        };
        push_manifest(store, image).await;
    }
    let index = NewManifest {
        manifests: vec![(digest("image 0"), true)],
        ..tagged("app", "index", &["all"])
    };
    push_manifest(store, index).await;
    store.create_upload(new_upload("app")).await.unwrap();
    // What a later pass finds changed: in place, gone, and under numbers that are used again.
    push_manifest(store, tagged("other", "gone", &["x"])).await;
}

async fn change(store: &Store) {
    assert!(delete(store, &repository("other"), &digest("gone"), Duration::ZERO, &[]).await);
    push_manifest(store, tagged("other", "new", &["x", "y"])).await;
    push_manifest(store, tagged("app", "image 3", &["latest"])).await;
    assert!(store.delete_tag(&repository("app"), &tag("v0"), Duration::ZERO, &[]).await.unwrap());
    // What can be had back, and a deletion that has more to do.
    push_manifest(store, tagged("deleted", "image", &["v1"])).await;
    let keep = Keep { grace: Duration::ZERO, undelete: LEASE };
    let app = repository("deleted");
    assert!(store.delete_tag(&app, &tag("v1"), LEASE, &[]).await.unwrap());
    push_manifest(store, attached("deleted", "sbom", "image", "text/plain")).await;
    store.delete_manifest(&app, &digest("image"), keep, &[]).await.unwrap();
    push_manifest(store, tagged("whole", "image", &["v1"])).await;
    let whole = store.delete_repository(&repository("whole"), LEASE).await.unwrap().unwrap();
    finish_deletion(store, whole, &[]).await;
    let retyped = NewManifest {
        media_type: "application/vnd.docker.distribution.manifest.v2+json".to_owned(),
        ..tagged("app", "image 1", &["v1"])
    };
    push_manifest(store, retyped).await;
    assert!(store.unlink_blob(&repository("app"), &digest("layer 2"), GRACE, &[]).await.unwrap());
    for upload in store.stale_uploads(soon(), 10).await.unwrap() {
        assert!(store.delete_upload(&upload.repository, upload.id).await.unwrap());
    }
    let mut upload = new_upload("app");
    upload.handle = "somewhere".to_owned();
    store.create_upload(upload).await.unwrap();
    store.record_events(vec![pull("one"), pull("two"), pull("three")]).await.unwrap();
    store.record_pulls(vec![(repository("app"), digest("image 3"))]).await.unwrap();
    let told = store.events("hook", 1).await.unwrap();
    store.events_done(&[told[0].id]).await.unwrap();
}

/// What retention policies see of the tags.
async fn uses(store: &Store) -> Vec<TagUse> {
    store.tag_uses(&repository("app"), None, 100).await.unwrap().entries
}

fn pull(content: &str) -> NewEvent {
    let event = Event {
        uuid: Uuid::new_v4(),
        action: EventAction::Pull,
        repository: repository("app"),
        digest: Some(digest(content)),
        tag: None,
        media_type: None,
        size: Some(1),
        from_repository: None,
        descriptors: None,
        origin: Arc::from("{}"),
    };
    NewEvent { endpoints: Arc::from([Arc::from("hook")]), event }
}

/// What can be seen of a store after [`fill`] and [`change`].
async fn assert_changed(store: &Store) {
    assert_eq!(all_repositories(store).await, ["app", "deleted", "other"]);
    let deletions = store.deletions(None, None, 10).await.unwrap();
    let counts: Vec<_> = deletions.iter().map(|one| (one.manifests, one.tags)).collect();
    assert_eq!(counts, [(1, 1), (1, 0), (0, 1)]);
    assert_eq!(store.open_deletions(None, 10).await.unwrap(), [deletions[1].id]);
    let gone = store.deleted_manifest(deletions[0].id, &digest("image")).await.unwrap();
    assert_eq!(gone.unwrap().payload, "image");
    assert_eq!(all_tags(store, "app").await, ["all", "latest", "v1", "v2"]);
    assert_eq!(all_tags(store, "other").await, ["x", "y"]);
    assert_eq!(payload(store, "app", &by_tag("latest")).await.unwrap(), "image 3");
    assert_eq!(payload(store, "other", &by_tag("x")).await.unwrap(), "new");
    let gone = Reference::Digest(digest("gone"));
    assert_eq!(payload(store, "other", &gone).await, None);
    let retyped = store.manifest(&repository("app"), &by_tag("v1")).await.unwrap().unwrap();
    assert!(retyped.media_type.ends_with("v2+json"));
    let app = repository("app");
    assert!(find_blob(store, &app, &digest("layer 1")).await.is_some());
    assert!(find_blob(store, &app, &digest("layer 2")).await.is_none());
    let referrers = store.referrers(&app, &digest("image 0"), None, None, 10).await.unwrap();
    assert_eq!(referrers.entries.len(), 1, "the other one took on another type, without a subject");
    let sessions = store.stale_uploads(soon(), 10).await.unwrap();
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].handle, "somewhere");
    assert!(store.bind_storage("the bucket b").await.is_err(), "it belongs to the same blobs");
}

/// Takes a source that nobody uses any longer. A server forgets a connection a moment after it was
/// closed; a file stays locked for as long as another test's new process has not started its program.
async fn take(transfer: &mut Transfer) {
    let taken = async {
        while transfer.take_source().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), taken).await.expect("it stays in use");
}

fn soon() -> SystemTime {
    SystemTime::now() + Duration::from_secs(3600)
}

#[tokio::test]
async fn a_database_goes_to_postgres_and_back() {
    let (directory, url) = (tempdir().unwrap(), SERVER.database().unwrap());
    let path = file(&directory);
    let store = open_file(&path).await.unwrap();
    fill(&store).await;

    // The first pass runs beside the registry.
    let mut transfer = Transfer::open(sqlite(&path), postgres(&url)).await.unwrap();
    assert!(transfer.pass().await.unwrap().written > 20);
    assert!(matches!(transfer.take_source().await, Err(MetadataError::InUse { .. })));
    assert!(matches!(open_url(&url).await, Err(MetadataError::ClosedForUse { .. })));
    change(&store).await;
    let outbox = changes(&store).await;
    let events = store.events("hook", 10).await.unwrap();
    assert_eq!(events.len(), 2);
    let uses = uses(&store).await;
    assert!(uses.iter().any(|one| one.pulled_at.is_some()));
    store.close().await;

    // The last one does what is left, and one more nothing.
    take(&mut transfer).await;
    let rest = transfer.pass().await.unwrap();
    assert!(rest.written > 0 && rest.written < 50 && rest.deleted > 0, "{rest:?}");
    assert_eq!(transfer.pass().await.unwrap(), Changes::default());
    let summary = transfer.verify().await.unwrap();
    assert!(summary.rows.contains(&("manifests", 7)), "{summary:?}");
    transfer.finish().await.unwrap();
    drop(transfer);

    let error = open_file(&path).await.unwrap_err();
    assert!(error.to_string().contains("it has moved to"), "{error}");
    let store = open_url(&url).await.unwrap();
    assert_changed(&store).await;
    assert_eq!(changes(&store).await, outbox);
    assert_eq!(store.events("hook", 10).await.unwrap(), events);
    assert_eq!(self::uses(&store).await, uses);
    // New rows get new numbers.
    push_manifest(&store, tagged("third", "another", &["z"])).await;
    push_blob(&store, "third", "another layer").await;
    store.record_events(vec![pull("four")]).await.unwrap();
    let last = store.events("hook", 10).await.unwrap()[2].id;
    assert!(last > events[1].id);
    store.close().await;

    let mut transfer = Transfer::open(postgres(&url), sqlite(&path)).await.unwrap();
    transfer.pass().await.unwrap();
    take(&mut transfer).await;
    transfer.verify().await.unwrap();
    transfer.finish().await.unwrap();
    drop(transfer);
    let store = open_file(&path).await.unwrap();
    assert_eq!(all_tags(&store, "third").await, ["z"]);
    assert_eq!(store.events("hook", 10).await.unwrap().len(), 3);
    assert_eq!(self::uses(&store).await, uses);
    push_manifest(&store, tagged("fourth", "one more", &["z"])).await;
    assert!(open_url(&url).await.is_err());
}

#[tokio::test]
async fn a_file_of_a_version_without_events_is_copied() {
    let (directory, url) = (tempdir().unwrap(), SERVER.database().unwrap());
    let path = file(&directory);
    let store = open_file(&path).await.unwrap();
    fill(&store).await;
    store.close().await;
    let options = SqliteConnectOptions::new().filename(&path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(
        "DROP TABLE events;
        DROP TABLE deletions;
        DROP TABLE deleted_manifests;
        DROP TABLE deleted_tags;
        DROP TABLE deleted_subjects;
        DROP TABLE deleted_repositories;
        PRAGMA user_version = 4",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();

    let mut transfer = Transfer::open(sqlite(&path), postgres(&url)).await.unwrap();
    transfer.pass().await.unwrap();
    take(&mut transfer).await;
    let summary = transfer.verify().await.unwrap();
    assert!(summary.rows.contains(&("events", 0)), "{summary:?}");
}

#[tokio::test]
async fn a_running_replica_keeps_its_database() {
    let (directory, url) = (tempdir().unwrap(), SERVER.database().unwrap());
    let store = open_url(&url).await.unwrap();
    fill(&store).await;
    let path = file(&directory);
    let mut transfer = Transfer::open(postgres(&url), sqlite(&path)).await.unwrap();
    transfer.pass().await.unwrap();

    assert!(matches!(transfer.take_source().await, Err(MetadataError::InUse { .. })));

    store.close().await;
    take(&mut transfer).await;
}

#[tokio::test]
async fn a_target_with_data_of_its_own_is_left_alone() {
    let (directory, url) = (tempdir().unwrap(), SERVER.database().unwrap());
    let path = file(&directory);
    let (source, target) = (open_file(&path).await.unwrap(), open_url(&url).await.unwrap());
    fill(&source).await;
    push_manifest(&target, tagged("precious", "image", &["latest"])).await;

    let refused = Transfer::open(sqlite(&path), postgres(&url)).await.err().unwrap();

    assert!(matches!(refused, MetadataError::NotEmpty { .. }), "{refused}");
    assert_eq!(all_repositories(&target).await, ["precious"]);
}

#[tokio::test]
async fn a_copy_that_differs_is_told() {
    let (directory, url) = (tempdir().unwrap(), SERVER.database().unwrap());
    let path = file(&directory);
    let store = open_file(&path).await.unwrap();
    fill(&store).await;
    store.close().await;
    let mut transfer = Transfer::open(sqlite(&path), postgres(&url)).await.unwrap();
    transfer.pass().await.unwrap();
    transfer.verify().await.unwrap();
    let name = url.rsplit('/').next().unwrap();
    for (damage, table) in [
        ("UPDATE manifests SET payload = 'other bytes' WHERE id = 1", "manifests"),
        ("DELETE FROM tags WHERE name = 'v0'", "tags"),
        ("UPDATE blobs SET size = size + 1 WHERE id = 2", "blobs"),
    ] {
        SERVER.sql(name, damage).unwrap();
        let error = transfer.verify().await.unwrap_err();
        assert!(
            matches!(error, MetadataError::Differs { table: told, .. } if told == table),
            "{damage}: {error}"
        );
        // Bytes follow from the digest, so a pass does not look at them.
        SERVER.sql(name, "UPDATE manifests SET payload = 'image 0' WHERE id = 1").unwrap();
        transfer.pass().await.unwrap();
        transfer.verify().await.unwrap();
    }
}

/// What the steps after the ninth have made, unmade.
const TO_THE_NINTH_SCHEMA: &str = "
    DROP TABLE misfits;
    DROP TRIGGER cached_manifest_deleted ON manifests;
    DROP FUNCTION cached_manifest_deleted;
    DROP TABLE cached_manifests;
    UPDATE berth_schema SET version = 9";

#[tokio::test]
async fn a_snapshot_of_an_older_schema_leaves_it_what_it_is() {
    let (directory, url) = (tempdir().unwrap(), SERVER.database().unwrap());
    assert!(!would_migrate(&postgres(&url)).await.unwrap(), "there is nothing in it");
    let store = open_url(&url).await.unwrap();
    fill(&store).await;
    store.close().await;
    assert!(!would_migrate(&postgres(&url)).await.unwrap(), "it is of the present schema");
    SERVER.sql_at(&url, TO_THE_NINTH_SCHEMA).unwrap();
    assert!(would_migrate(&postgres(&url)).await.unwrap());
    let path = file(&directory);

    snapshot(postgres(&url), &path).await.unwrap();

    assert_eq!(SERVER.sql_at(&url, "SELECT version FROM berth_schema").unwrap(), "9");
    assert!(!would_migrate(&sqlite(&path)).await.unwrap());
    let (copy, original) = (open_file(&path).await.unwrap(), open_url(&url).await.unwrap());
    assert!(!would_migrate(&postgres(&url)).await.unwrap(), "it was opened to work with");
    for store in [&copy, &original] {
        assert_eq!(all_repositories(store).await, ["app", "other"]);
        assert_eq!(all_tags(store, "app").await, ["all", "latest", "v0", "v1", "v2"]);
    }
    // What the older one had nothing of is as in a new database.
    push_manifest(&copy, tagged("app", "image 4", &["v4"])).await;
}
