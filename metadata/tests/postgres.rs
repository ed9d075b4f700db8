//! The suite over PostgreSQL, and what several processes on one database promise each other.
#![allow(clippy::expect_used, clippy::unwrap_used, unreachable_pub)]

#[path = "suite/long_ago.rs"]
mod long_ago;
mod suite;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use berth_metadata::{
    Endpoint, FetchKey, Follower, HeldUpload, Job, MetadataError, Pooling, PostgresOptions,
    PostgresStore, SqliteLocation, SqliteOptions, SqliteStore, UploadProgress,
};
use berth_test_stores::{PgBouncer, Postgres};
use suite::fixtures::{self, *};

/// One server for all tests, each of which has a database of its own.
static SERVER: LazyLock<Postgres> =
    LazyLock::new(|| Postgres::options().fsync(false).start().expect("a PostgreSQL server"));

fn options(url: String) -> PostgresOptions {
    PostgresOptions { follower: Follower::Tree, connections: 4, ..PostgresOptions::new(url) }
}

/// The name of the database that a URL ends with.
fn database_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

async fn open_url(url: &str) -> Store {
    Arc::new(PostgresStore::open(options(url.to_owned())).await.unwrap())
}

async fn open() -> Opened {
    let options = options(SERVER.database().unwrap());
    Opened::new(PostgresStore::open(options).await.unwrap(), None)
}

metadata_suite!(by_session, open);
accounts_suite!(accounts_by_session, open);
upkeep_suite!(upkeep_by_session, open);

/// Through a pooler that hands out the server's connections by transaction: two statements that are
/// not in one transaction may run on two connections.
async fn open_pooled(server: &Postgres, pooler: &PgBouncer) -> Opened {
    let pooled = pooler.url(database_of(&server.database().unwrap()));
    let options = PostgresOptions { pooling: Pooling::Transaction, ..options(pooled) };
    Opened::new(PostgresStore::open(options).await.unwrap(), None)
}

async fn open_behind_a_pooler() -> Opened {
    static POOLER: LazyLock<PgBouncer> =
        LazyLock::new(|| PgBouncer::start(&SERVER).expect("a PgBouncer"));
    open_pooled(&SERVER, &POOLER).await
}

/// On a server of their own: a pooler keeps connections to each database for a while, and a server has
/// only so many.
async fn open_accounts_behind_a_pooler() -> Opened {
    static ACCOUNTS: LazyLock<Postgres> =
        LazyLock::new(|| Postgres::options().fsync(false).start().expect("a PostgreSQL server"));
    static POOLER: LazyLock<PgBouncer> =
        LazyLock::new(|| PgBouncer::start(&ACCOUNTS).expect("a PgBouncer"));
    open_pooled(&ACCOUNTS, &POOLER).await
}

metadata_suite!(by_transaction, open_behind_a_pooler);
accounts_suite!(accounts_by_transaction, open_accounts_behind_a_pooler);
upkeep_suite!(upkeep_by_transaction, open_accounts_behind_a_pooler);

/// Two processes on one database.
async fn two() -> (Store, Store) {
    let url = SERVER.database().unwrap();
    (open_url(&url).await, open_url(&url).await)
}

#[tokio::test]
async fn each_process_sees_at_once_what_the_other_was_told_is_done() {
    let (one, other) = two().await;
    for round in 0..20 {
        let (writer, reader) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let image = format!("image {round}");
        push_manifest(writer, tagged("app", &image, &["latest"])).await;
        assert_eq!(payload(reader, "app", &by_tag("latest")).await.unwrap(), image);
        push_blob(writer, "app", &image).await;
        assert!(find_blob(reader, &repository("app"), &digest(&image)).await.is_some());
        assert!(writer.unlink_blob(&repository("app"), &digest(&image), GRACE, &[]).await.unwrap());
        assert!(find_blob(reader, &repository("app"), &digest(&image)).await.is_none());
    }
    assert!(delete(&one, &repository("app"), &digest("image 19"), Duration::ZERO, &[]).await);
    assert_eq!(payload(&other, "app", &by_tag("latest")).await, None);
}

#[tokio::test]
async fn a_snapshot_is_an_embedded_database_in_one_file() {
    let url = SERVER.database().unwrap();
    let store = open_url(&url).await;
    push_blob(&store, "app", "layer").await;
    push_manifest(&store, tagged("app", "one", &["latest"])).await;
    let directory = tempfile::tempdir().unwrap();
    let (file, copy) = (directory.path().join("a"), directory.path().join("b"));

    berth_metadata::snapshot(Endpoint::Postgres(options(url)), &file).await.unwrap();
    push_manifest(&store, tagged("app", "two", &["latest"])).await;

    let files = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(files, 1, "nothing stands beside it");
    berth_metadata::restore(&file, &copy).await.unwrap();
    let options = SqliteOptions::new(SqliteLocation::File(copy));
    let restored: Store = Arc::new(SqliteStore::open(options).await.unwrap());
    assert_eq!(payload(&restored, "app", &by_tag("latest")).await.unwrap(), "one");
    assert!(find_blob(&restored, &repository("app"), &digest("layer")).await.is_some());
    assert_eq!(changes(&restored).await, []);
}

#[tokio::test]
async fn a_session_is_held_by_one_process() {
    let (one, other) = two().await;
    let (opened, minute) = (new_upload("app"), Duration::from_secs(60));
    one.create_upload(opened.clone()).await.unwrap();
    let hold = |store: &Store| {
        let store = store.clone();
        let (repository, id) = (opened.repository.clone(), opened.id);
        async move { store.hold_upload(&repository, id, minute).await.unwrap() }
    };
    let progress = |from_offset, offset| UploadProgress {
        id: opened.id,
        from_offset,
        offset,
        hash_state: vec![1],
        handle: String::new(),
    };

    assert!(matches!(hold(&one).await, HeldUpload::Held(_)));
    assert_eq!(hold(&other).await, HeldUpload::Busy);
    assert!(!other.renew_upload(opened.id, minute).await.unwrap());
    other.release_upload(opened.id).await.unwrap();
    assert_eq!(hold(&other).await, HeldUpload::Busy, "what one has, another cannot let go of");
    assert!(!other.advance_upload(progress(0, 5)).await.unwrap());
    assert!(one.take_stale_uploads(soon(), 10).await.unwrap().is_empty(), "it is in use");

    // A step forward lets go.
    assert!(one.advance_upload(progress(0, 5)).await.unwrap());
    let HeldUpload::Held(session) = hold(&other).await else { panic!("it was let go of") };
    assert_eq!(session.offset, 5);
    assert!(!one.renew_upload(opened.id, minute).await.unwrap());
    other.release_upload(opened.id).await.unwrap();
    assert!(matches!(hold(&one).await, HeldUpload::Held(_)));
}

#[tokio::test]
async fn a_hold_that_has_run_out_is_taken_over() {
    let (one, other) = two().await;
    let opened = new_upload("app");
    one.create_upload(opened.clone()).await.unwrap();
    let hold = |store: &Store, lease| {
        let store = store.clone();
        let (repository, id) = (opened.repository.clone(), opened.id);
        async move { store.hold_upload(&repository, id, lease).await.unwrap() }
    };
    assert!(matches!(hold(&one, Duration::ZERO).await, HeldUpload::Held(_)));
    let minute = Duration::from_secs(60);
    assert!(matches!(hold(&other, minute).await, HeldUpload::Held(_)));

    // Whoever comes back finds that it has lost the session.
    let progress = UploadProgress {
        id: opened.id,
        from_offset: 0,
        offset: 5,
        hash_state: vec![1],
        handle: String::new(),
    };
    assert!(!one.renew_upload(opened.id, minute).await.unwrap());
    assert!(!one.advance_upload(progress.clone()).await.unwrap());
    assert!(other.advance_upload(progress).await.unwrap());
}

#[tokio::test]
async fn a_job_is_done_by_one_process_and_not_again_at_once() {
    let (one, other) = two().await;
    let (minute, none) = (Duration::from_secs(60), Duration::ZERO);
    assert!(one.take_job(Job::Purge, minute, none).await.unwrap());
    assert!(!other.take_job(Job::Purge, minute, none).await.unwrap());
    assert!(other.take_job(Job::Links, minute, none).await.unwrap(), "another job is free");
    assert!(one.take_job(Job::Purge, minute, none).await.unwrap(), "its holder may renew");
    other.leave_job(Job::Purge, true).await.unwrap();
    assert!(!other.take_job(Job::Purge, minute, none).await.unwrap());

    one.leave_job(Job::Purge, true).await.unwrap();
    assert!(!other.take_job(Job::Purge, minute, minute).await.unwrap(), "it has just been done");
    // The holder dies: its hold runs out.
    assert!(other.take_job(Job::Purge, none, none).await.unwrap());
    assert!(one.take_job(Job::Purge, minute, none).await.unwrap());
}

#[tokio::test]
async fn one_process_at_a_time_fetches_the_same() {
    let (one, other) = two().await;
    let (minute, none) = (Duration::from_secs(60), Duration::ZERO);
    let key = |reference: &str| FetchKey {
        repository: repository("app"),
        reference: reference.parse().unwrap(),
    };
    assert!(one.hold_fetch(&key("v1"), minute).await.unwrap());
    assert!(!other.hold_fetch(&key("v1"), minute).await.unwrap());
    assert!(other.hold_fetch(&key("v2"), minute).await.unwrap(), "another one is free");
    other.release_fetch(&key("v1")).await.unwrap();
    assert!(!other.hold_fetch(&key("v1"), minute).await.unwrap(), "it was not its to release");
    one.release_fetch(&key("v1")).await.unwrap();
    assert!(other.hold_fetch(&key("v1"), none).await.unwrap());
    // The holder dies: its hold runs out.
    assert!(one.hold_fetch(&key("v1"), minute).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_of_changes_made_side_by_side_all_come_once() {
    let (one, other) = two().await;
    let mut writers = tokio::task::JoinSet::new();
    for (number, store) in [one.clone(), other.clone(), one.clone(), other].into_iter().enumerate()
    {
        writers.spawn(async move {
            for n in 0..50 {
                push_blob(&store, &format!("app{number}"), &format!("layer {number} {n}")).await;
            }
        });
    }
    // Entries are taken while others with lesser numbers are not committed yet.
    let mut seen = Vec::new();
    while !writers.is_empty() || !one.outbox(1).await.unwrap().is_empty() {
        let entries = one.outbox(7).await.unwrap();
        let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
        one.outbox_done(&ids).await.unwrap();
        seen.extend(ids);
        while let Some(ended) = writers.try_join_next() {
            ended.unwrap();
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 200);
}

#[tokio::test]
async fn many_processes_may_start_on_an_empty_database() {
    let url = SERVER.database().unwrap();
    let starts: tokio::task::JoinSet<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            async move { open_url(&url).await }
        })
        .collect();
    for (number, store) in starts.join_all().await.iter().enumerate() {
        push_blob(store, "app", &format!("layer {number}")).await;
    }
}

#[tokio::test]
async fn what_is_in_the_way_of_a_start_is_told() {
    let refused = async |url: String| PostgresStore::open(options(url)).await.unwrap_err();
    let good = SERVER.database().unwrap();

    let error = refused(good.replace(SERVER.password(), "wrong")).await;
    assert!(matches!(&error, MetadataError::Connect { .. }));
    assert!(error.to_string().contains("password"), "{error}");

    let error = refused(SERVER.url("nowhere")).await;
    assert!(error.to_string().contains("\"nowhere\" does not exist; create it"), "{error}");

    let error = refused("postgres://a@127.0.0.1:1/b".to_owned()).await;
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(error.to_string().contains("the host and the port"), "{error}");

    let error = refused("postgres://a:b:c:d/e".to_owned()).await;
    assert!(error.to_string().contains("cannot be read"), "{error}");

    let foreign = SERVER.database().unwrap();
    let name = database_of(&foreign);
    SERVER.sql(name, "CREATE TABLE songs (title text)").unwrap();
    let error = refused(foreign).await;
    assert!(matches!(error, MetadataError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn tls_is_spoken_and_the_certificate_looked_at() {
    let server = Postgres::options().fsync(false).tls().start().unwrap();
    let url = server.database().unwrap();
    let authority = server.certificate().unwrap().authority();
    let with = |mode| format!("{url}?sslmode={mode}&sslrootcert={}", authority.display());
    for mode in ["require", "verify-ca", "verify-full"] {
        push_blob(&open_url(&with(mode)).await, "app", mode).await;
    }

    let plain = PostgresStore::open(options(format!("{url}?sslmode=disable"))).await.unwrap_err();
    assert!(matches!(plain, MetadataError::Connect { .. }), "{plain}");
    let other = Postgres::options().fsync(false).tls().start().unwrap();
    let strange = other.certificate().unwrap().authority();
    let strange = format!("{url}?sslmode=verify-full&sslrootcert={}", strange.display());
    let error = PostgresStore::open(options(strange)).await.unwrap_err();
    assert!(error.to_string().contains("sslrootcert"), "{error}");
}

#[tokio::test]
async fn a_schema_is_used_as_long_as_it_has_what_this_version_needs() {
    let url = SERVER.database().unwrap();
    let name = database_of(&url);
    let store = open_url(&url).await;
    push_blob(&store, "app", "before").await;

    // The next version adds something, and what this one needs is still there: they work side by side.
    let add = "ALTER TABLE repositories ADD COLUMN quota bigint; CREATE TABLE policies (id bigint);
        UPDATE berth_schema SET version = version + 1";
    SERVER.sql(name, add).unwrap();
    let beside = open_url(&url).await;
    push_blob(&beside, "app2", "after").await;
    push_blob(&store, "app3", "after").await;
    assert_eq!(all_repositories(&beside).await, ["app", "app2", "app3"]);

    // The version after that takes something away.
    SERVER.sql(name, "UPDATE berth_schema SET version = 99, needs = 99").unwrap();
    let error = PostgresStore::open(options(url.clone())).await.unwrap_err();
    assert!(matches!(error, MetadataError::TooNew { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn untagged_manifests_stay_for_as_long_as_is_said() {
    let url = SERVER.database().unwrap();
    let store = open_url(&url).await;
    long_ago::push(&store).await;
    SERVER.sql(database_of(&url), long_ago::LONG_AGO).unwrap();

    long_ago::only_what_was_untagged_long_ago_expires(&store).await;
}

#[tokio::test]
async fn a_dead_connection_costs_nobody_an_error() {
    let mut server = Postgres::options().fsync(false).start().unwrap();
    let store = open_url(&server.database().unwrap()).await;
    push_manifest(&store, tagged("app", "one", &["latest"])).await;
    for _ in 0..3 {
        server.disconnect_clients().unwrap();
        assert_eq!(payload(&store, "app", &by_tag("latest")).await.unwrap(), "one");
        server.disconnect_clients().unwrap();
        push_blob(&store, "app", "layer").await;
    }
    server.stop().unwrap();
    let error = store.manifest(&repository("app"), &by_tag("latest")).await.unwrap_err();
    assert!(matches!(error, MetadataError::Unavailable { .. }), "{error}");
    let error = store.create_upload(new_upload("app")).await.unwrap_err();
    assert!(matches!(error, MetadataError::Unavailable { .. }), "{error}");

    server.start_again().unwrap();
    assert_eq!(payload(&store, "app", &by_tag("latest")).await.unwrap(), "one");
    push_blob(&store, "app", "another").await;
}

#[tokio::test]
async fn listings_come_from_a_standby_and_hold_what_was_just_written() {
    let primary = Postgres::options().fsync(false).start().unwrap();
    let url = primary.database().unwrap();
    let standby = primary.standby().unwrap();
    let name = database_of(&url);
    let options = PostgresOptions {
        standbys: vec![standby.url(name)],
        standby_wait: Duration::from_secs(5),
        ..options(url.clone())
    };
    let store: Store = Arc::new(PostgresStore::open(options).await.unwrap());
    for n in 0..30 {
        let tag = format!("t{n:02}");
        push_manifest(&store, tagged("app", &format!("image {n}"), &[&tag])).await;
        assert_eq!(all_tags(&store, "app").await.last(), Some(&tag));
    }
    assert_eq!(all_repositories(&store).await, ["app"]);
    let asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%FROM tags%'";
    assert_ne!(standby.sql(name, asked).unwrap().trim(), "0", "the standby was asked");

    // Without it the first server answers.
    drop(standby);
    assert_eq!(all_tags(&store, "app").await.len(), 30);
}

fn soon() -> std::time::SystemTime {
    std::time::SystemTime::now() + Duration::from_secs(3600)
}
