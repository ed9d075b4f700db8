//! What only a file can do: be held by another process, be damaged, survive a crash.
#![allow(clippy::expect_used, clippy::unwrap_used, dead_code, unreachable_pub)]

#[path = "suite/fixtures.rs"]
mod fixtures;
#[path = "suite/long_ago.rs"]
mod long_ago;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use berth_metadata::{
    Endpoint, Follower, MetadataError, SqliteLocation, SqliteOptions, SqliteStore,
};
use berth_oci::LinkChange;
use fixtures::*;
use sqlx::{Connection, SqliteConnection};
use tempfile::tempdir;

fn database(directory: &Path) -> PathBuf {
    directory.join("metadata.db")
}

async fn open(path: &Path) -> Result<Store, MetadataError> {
    let options = SqliteOptions {
        follower: Follower::Tree,
        ..SqliteOptions::new(SqliteLocation::File(path.to_owned()))
    };
    Ok(Arc::new(SqliteStore::open(options).await?))
}

async fn push_some(store: &Store) {
    push_blob(store, "app", "layer").await;
    push_manifest(store, tagged("app", "one", &["latest"])).await;
}

async fn assert_some(store: &Store) {
    assert!(find_blob(store, &repository("app"), &digest("layer")).await.is_some());
    assert_eq!(payload(store, "app", &by_tag("latest")).await.unwrap(), "one");
    assert_eq!(all_tags(store, "app").await, ["latest"]);
}

/// The file as a crash leaves it: with its log, without a checkpoint.
fn copy_as_is(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let name = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        fs::copy(name(from), name(to)).unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_close() {
    let directory = tempdir().unwrap();
    let path = database(directory.path());
    let store = open(&path).await.unwrap();
    let upload = new_upload("app");
    store.create_upload(upload.clone()).await.unwrap();
    push_some(&store).await;
    store.close().await;
    let log = format!("{}-wal", path.display());
    assert!(!fs::exists(&log).unwrap(), "a closed store is one file");

    let store = open(&path).await.unwrap();

    assert_some(&store).await;
    let session = store.upload(&upload.repository, upload.id).await.unwrap().unwrap();
    assert_eq!(session.hash_state, upload.hash_state);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let directory = tempdir().unwrap();
    let path = database(directory.path());
    let store = open(&path).await.unwrap();
    for n in 0..20 {
        push_manifest(&store, tagged("app", &format!("image {n}"), &[&format!("t{n}")])).await;
        let crashed = directory.path().join(format!("crashed-{n}.db"));
        copy_as_is(&path, &crashed);
        let survived = open(&crashed).await.unwrap();
        assert_eq!(all_tags(&survived, "app").await.len(), n + 1);
        survived.close().await;
    }
}

#[tokio::test]
async fn a_torn_end_of_the_log_loses_only_what_it_tears() {
    let directory = tempdir().unwrap();
    let path = database(directory.path());
    let store = open(&path).await.unwrap();
    push_some(&store).await;
    let log = PathBuf::from(format!("{}-wal", path.display()));
    let acknowledged = fs::metadata(&log).unwrap().len();
    push_manifest(&store, tagged("app", "two", &["late"])).await;
    let whole = fs::metadata(&log).unwrap().len();
    assert!(whole > acknowledged);

    for length in [acknowledged, acknowledged + 1, acknowledged + 4000, whole - 1] {
        let crashed = directory.path().join(format!("crashed-{length}.db"));
        copy_as_is(&path, &crashed);
        let torn =
            fs::File::options().write(true).open(format!("{}-wal", crashed.display())).unwrap();
        torn.set_len(length).unwrap();
        let survived = open(&crashed).await.unwrap();
        assert_some(&survived).await;
        assert_eq!(payload(&survived, "app", &by_tag("late")).await, None);
        survived.close().await;
    }
}

#[tokio::test]
async fn a_second_process_is_told_that_the_file_is_in_use() {
    let directory = tempdir().unwrap();
    let path = database(directory.path());
    let store = open(&path).await.unwrap();

    let second = open(&path).await;

    assert!(matches!(second, Err(MetadataError::InUse { path: told }) if told == path));
    push_some(&store).await;
    store.close().await;
    assert_some(&open(&path).await.unwrap()).await;
}

/// A shell that has the file open holds none of our locks, but SQLite's own.
#[tokio::test]
async fn a_file_that_a_hand_has_locked_is_in_use() {
    let directory = tempdir().unwrap();
    let path = database(directory.path());
    open(&path).await.unwrap().close().await;
    let url = format!("sqlite://{}", path.display());
    let mut shell = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut shell).await.unwrap();

    let error = open(&path).await.unwrap_err();

    assert!(matches!(error, MetadataError::InUse { .. }), "{error}");
    sqlx::raw_sql("ROLLBACK").execute(&mut shell).await.unwrap();
    push_some(&open(&path).await.unwrap()).await;
}

#[tokio::test]
async fn a_snapshot_is_what_the_database_was() {
    let directory = tempdir().unwrap();
    let path = database(directory.path());
    let store = open(&path).await.unwrap();
    push_some(&store).await;
    let (file, copy) = (directory.path().join("a"), directory.path().join("b"));
    let source = || Endpoint::Sqlite(path.clone());

    berth_metadata::snapshot(source(), &file).await.unwrap();
    push_manifest(&store, tagged("app", "two", &["latest"])).await;
    assert!(berth_metadata::snapshot(source(), &file).await.is_err(), "it is there already");

    assert!(!berth_metadata::would_migrate(&Endpoint::Sqlite(file.clone())).await.unwrap());
    let in_use = berth_metadata::restore(&file, &path).await;
    assert!(matches!(in_use, Err(MetadataError::InUse { .. })), "{in_use:?}");
    berth_metadata::restore(&file, &copy).await.unwrap();
    assert_some(&open(&copy).await.unwrap()).await;
}

#[tokio::test]
async fn a_file_that_is_deleted_under_the_store_takes_no_more_changes() {
    let directory = tempdir().unwrap();
    let path = database(directory.path());
    let store = open(&path).await.unwrap();
    push_some(&store).await;
    fs::remove_file(&path).unwrap();
    for _ in 0..2 {
        let refused = store.put_manifest(tagged("app", "two", &["latest"])).await;
        assert!(matches!(refused, Err(MetadataError::Unavailable { .. })), "{refused:?}");
    }
    assert_some(&store).await;
    fs::write(&path, "another file").unwrap();
    assert!(store.put_manifest(tagged("app", "two", &["latest"])).await.is_err());
}

#[tokio::test]
async fn garbage_is_called_damaged_and_left_alone() {
    let directory = tempdir().unwrap();
    let path = database(directory.path());
    let garbage: Vec<u8> = (0..20_000u32).map(|n| (n * 31 % 251) as u8).collect();
    fs::write(&path, &garbage).unwrap();

    let error = open(&path).await.unwrap_err();

    assert!(matches!(&error, MetadataError::Damaged { path: told, .. } if *told == path));
    assert!(error.to_string().contains("backup"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), garbage);
}

#[tokio::test]
async fn a_truncated_file_is_called_damaged() {
    let directory = tempdir().unwrap();
    let path = database(directory.path());
    let store = open(&path).await.unwrap();
    push_some(&store).await;
    store.close().await;
    let whole = fs::metadata(&path).unwrap().len();

    for length in [whole - 4096, whole / 2, 5000, 50] {
        let cut = directory.path().join(format!("cut-{length}.db"));
        fs::copy(&path, &cut).unwrap();
        fs::File::options().write(true).open(&cut).unwrap().set_len(length).unwrap();
        let Err(error) = open(&cut).await else { panic!("{length} of {whole} bytes opened") };
        assert!(matches!(error, MetadataError::Damaged { .. }), "{length}: {error}");
    }
}

#[tokio::test]
async fn the_database_of_another_program_is_refused() {
    let directory = tempdir().unwrap();
    let path = database(directory.path());
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE songs (title TEXT)").execute(&mut other).await.unwrap();
    other.close().await.unwrap();

    let error = open(&path).await.unwrap_err();

    assert!(matches!(error, MetadataError::Damaged { .. }), "{error}");
}

/// What a newer version has made of the file, as far as this one can see.
async fn alter(path: &Path, statements: &'static str) {
    let url = format!("sqlite://{}", path.display());
    let mut newer = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(statements).execute(&mut newer).await.unwrap();
    newer.close().await.unwrap();
}

#[tokio::test]
async fn a_schema_is_used_as_long_as_it_has_what_this_version_needs() {
    let directory = tempdir().unwrap();
    let path = database(directory.path());
    open(&path).await.unwrap().close().await;
    // The next version adds something, and what this one needs is still there.
    let add = "ALTER TABLE repositories ADD COLUMN quota INTEGER; PRAGMA user_version = 99";
    alter(&path, add).await;
    let store = open(&path).await.unwrap();
    push_some(&store).await;
    assert_some(&store).await;
    store.close().await;

    // The version after that takes something away.
    let take = "UPDATE settings SET value = '999' WHERE name = 'needs'; PRAGMA user_version = 999";
    alter(&path, take).await;

    let error = open(&path).await.unwrap_err();

    assert!(matches!(error, MetadataError::TooNew { found: 999, known: 13, .. }), "{error}");
}

#[tokio::test]
async fn the_schema_of_the_version_before_is_brought_to_the_present() {
    let directory = tempdir().unwrap();
    let path = database(directory.path());
    let store = open(&path).await.unwrap();
    push_some(&store).await;
    store.close().await;
    alter(
        &path,
        "DROP TRIGGER cached_manifest_deleted;
        DROP TRIGGER damaged_blob_replaced;
        DROP TRIGGER damaged_blob_gone;
        DROP TABLE damaged_blobs;
        DROP TABLE cached_manifests;
        DROP TABLE found_tags;
        DROP TABLE found_blobs;
        DROP TABLE misfits;
        DROP TABLE mirrored_tags;
        DROP TABLE audit;
        DROP TABLE signing_keys;
        DROP TABLE refresh_tokens;
        DROP TABLE logins;
        DROP TABLE access_tokens;
        DROP TABLE policy;
        DROP TABLE grants;
        DROP TABLE team_members;
        DROP TABLE teams;
        DROP TABLE organisation_members;
        DROP TABLE accounts;
        DROP TRIGGER usage_of_new_repository;
        DROP TRIGGER usage_of_new_link;
        DROP TRIGGER usage_of_old_link;
        DROP TRIGGER usage_of_new_size;
        DROP TRIGGER usage_of_new_manifest;
        DROP TRIGGER usage_of_old_manifest;
        DROP TRIGGER usage_of_new_tag;
        DROP TRIGGER usage_of_old_tag;
        DROP TABLE usage_repositories;
        DROP TABLE usage_prefixes;
        DROP TRIGGER tag_moved;
        DROP TRIGGER tag_deleted;
        DROP TRIGGER manifest_deleted;
        DROP TABLE manifest_times;
        DROP TABLE settings;
        DROP TABLE garbage;
        DROP TABLE events;
        DROP TABLE deletions;
        DROP TABLE deleted_manifests;
        DROP TABLE deleted_tags;
        DROP TABLE deleted_subjects;
        DROP TABLE deleted_repositories;
        DROP TRIGGER manifest_blobs_repository;
        DROP INDEX repository_blobs_by_review;
        DROP INDEX manifests_by_digest;
        DROP INDEX manifest_blobs_by_repository;
        ALTER TABLE repository_blobs DROP COLUMN review_at;
        ALTER TABLE manifest_blobs DROP COLUMN repository_id;
        CREATE INDEX manifest_blobs_by_digest ON manifest_blobs (digest);
        PRAGMA user_version = 2",
    )
    .await;

    let store = open(&path).await.unwrap();

    assert_some(&store).await;
    store.bind_storage("the bucket a").await.unwrap();
}

#[tokio::test]
async fn untagged_manifests_stay_for_as_long_as_is_said() {
    let directory = tempdir().unwrap();
    let path = database(directory.path());
    let store = open(&path).await.unwrap();
    long_ago::push(&store).await;
    store.close().await;
    alter(&path, long_ago::LONG_AGO).await;

    let store = open(&path).await.unwrap();

    long_ago::only_what_was_untagged_long_ago_expires(&store).await;
}

/// Neither of these lets even root make a file.
#[tokio::test]
async fn a_directory_that_takes_no_file_is_told() {
    let read_only = open(Path::new("/sys/metadata.db")).await.unwrap_err();
    assert!(matches!(read_only, MetadataError::ReadOnly { .. }), "{read_only}");

    let directory = tempdir().unwrap();
    let missing = directory.path().join("missing").join("metadata.db");
    let error = open(&missing).await.unwrap_err();
    assert!(matches!(error, MetadataError::Open { .. }), "{error}");

    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open(&file.join("metadata.db")).await.unwrap_err();
    assert!(matches!(error, MetadataError::Open { .. }), "{error}");

    let folder = directory.path().join("folder.db");
    fs::create_dir(&folder).unwrap();
    let error = open(&folder).await.unwrap_err();
    assert!(matches!(error, MetadataError::Open { .. }), "{error}");
}

#[tokio::test]
async fn an_empty_file_becomes_a_database() {
    let directory = tempdir().unwrap();
    let path = database(directory.path());
    fs::write(&path, "").unwrap();

    let store = open(&path).await.unwrap();

    push_some(&store).await;
    assert_some(&store).await;
}

#[tokio::test]
async fn entries_left_in_the_outbox_are_announced_at_the_start() {
    let directory = tempdir().unwrap();
    let path = database(directory.path());
    let store = open(&path).await.unwrap();
    push_some(&store).await;
    store.close().await;

    let store = open(&path).await.unwrap();

    tokio::time::timeout(Duration::from_secs(60), store.outbox_filled()).await.unwrap();
    assert!(matches!(changes(&store).await[0], LinkChange::LinkBlob { .. }));
}

#[tokio::test]
async fn without_a_record_of_links_the_outbox_stays_empty() {
    let directory = tempdir().unwrap();
    let location = SqliteLocation::File(database(directory.path()));
    let store: Store = Arc::new(SqliteStore::open(SqliteOptions::new(location)).await.unwrap());
    push_some(&store).await;
    assert!(
        store.delete_tag(&repository("app"), &tag("latest"), Duration::ZERO, &[]).await.unwrap()
    );
    assert!(delete(&store, &repository("app"), &digest("one"), Duration::ZERO, &[]).await);
    assert!(store.unlink_blob(&repository("app"), &digest("layer"), GRACE, &[]).await.unwrap());

    assert!(changes(&store).await.is_empty());
}

#[tokio::test]
async fn for_a_journal_changes_are_recorded_and_manifests_are_no_files() {
    for (follower, files) in [(Follower::Tree, 1), (Follower::Journal, 0)] {
        let directory = tempdir().unwrap();
        let location = SqliteLocation::File(database(directory.path()));
        let options = SqliteOptions { follower, ..SqliteOptions::new(location) };
        let store: Store = Arc::new(SqliteStore::open(options).await.unwrap());
        push_manifest(&store, tagged("app", "one", &["a"])).await;
        assert!(delete(&store, &repository("app"), &digest("one"), Duration::ZERO, &[]).await);
        let last = changes(&store).await.pop();
        assert!(matches!(last, Some(LinkChange::DeleteManifest { .. })), "{last:?}");
        let garbage = store.take_garbage(10, Duration::from_secs(60)).await.unwrap();
        assert_eq!(garbage.len(), files, "{follower:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_cache_every_read_is_of_the_file() {
    let directory = tempdir().unwrap();
    let location = SqliteLocation::File(database(directory.path()));
    let options = SqliteOptions { cache_bytes: 0, readers: 1, ..SqliteOptions::new(location) };
    let store: Store = Arc::new(SqliteStore::open(options).await.unwrap());
    push_some(&store).await;
    for _ in 0..3 {
        assert_some(&store).await;
    }
}
