//! What can be seen from inside alone: query plans, and transactions in which something fails.

use std::sync::Arc;

use async_trait::async_trait;
use berth_oci::{Algorithm, Hasher, UploadId};
use sqlx::Row;
use tempfile::{TempDir, tempdir};
use tokio::sync::Notify;

use super::upkeep::{adoption, damage};
use super::writer::{Context, Operation};
use super::{
    SqliteLocation, SqliteOptions, SqliteStore, accounts, blobs, collection, deletion, events,
    eviction, expiry, links, manifests, mirrored, outbox, referrers, removal, repositories,
    restore, tags, uploads, usage,
};
use crate::fault::Fault;
use crate::rows::{outbox_sql, tree_sql};
use crate::{MetadataError, MetadataStore, NewManifest, NewUpload};

async fn open() -> (Arc<SqliteStore>, TempDir) {
    let directory = tempdir().unwrap();
    let location = SqliteLocation::File(directory.path().join("metadata.db"));
    let store = SqliteStore::open(SqliteOptions::new(location)).await.unwrap();
    (Arc::new(store), directory)
}

/// Runs a statement among the other operations.
struct Statement(&'static str);

#[async_trait]
impl Operation for Statement {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        sqlx::raw_sql(self.0).execute(&mut *context.connection).await?;
        Ok(())
    }
}

/// Holds the writer until it is told to go on, so that a whole batch gathers behind it.
struct Gate {
    entered: Arc<Notify>,
    go_on: Arc<Notify>,
}

#[async_trait]
impl Operation for Gate {
    type Output = ();

    async fn apply(&self, _: &mut Context<'_>) -> Result<(), Fault> {
        self.entered.notify_one();
        self.go_on.notified().await;
        Ok(())
    }
}

/// Lets everything that `requests` submits gather in one batch, in this order.
async fn together(store: &Arc<SqliteStore>, requests: impl Future<Output = ()>) {
    let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let gate = Gate { entered: Arc::clone(&entered), go_on: Arc::clone(&go_on) };
    let held = tokio::spawn({
        let store = Arc::clone(store);
        async move { store.write(gate).await }
    });
    entered.notified().await;
    // Polled first, the requests are queued when the gate opens.
    tokio::join!(biased; requests, async { go_on.notify_one() });
    held.await.unwrap().unwrap();
}

fn manifest(payload: &'static str) -> NewManifest {
    NewManifest {
        repository: "app".parse().unwrap(),
        digest: Hasher::digest(Algorithm::Sha256, payload.as_bytes()),
        media_type: berth_oci::media_type::OCI_IMAGE_MANIFEST.to_owned(),
        payload: payload.into(),
        blobs: Vec::new(),
        manifests: Vec::new(),
        subject: None,
        artifact_type: None,
        annotations: None,
        tags: vec![payload.parse().unwrap()],
        immutable_tags: Vec::new(),
        mirrored: None,
        events: Vec::new(),
    }
}

fn upload() -> NewUpload {
    NewUpload {
        id: UploadId::random(),
        repository: "app".parse().unwrap(),
        algorithm: Algorithm::Sha256,
        hash_state: Vec::new(),
        handle: String::new(),
    }
}

async fn has_tag(store: &SqliteStore, tag: &str) -> bool {
    let found = store.manifest(&"app".parse().unwrap(), &tag.parse().unwrap()).await;
    found.unwrap().is_some()
}

#[tokio::test]
async fn an_operation_that_fails_takes_no_other_along() {
    for failure in [
        "INSERT INTO tags (repository_id, name) VALUES (1, 'x')",
        "INSERT INTO manifest_blobs VALUES (999, x'00')",
        // As SQLite itself does on a full disk: the transaction is gone when the error comes.
        "ROLLBACK; SELECT * FROM nowhere",
    ] {
        let (store, _directory) = open().await;
        together(&store, async {
            let (first, failed, second) = tokio::join!(
                store.put_manifest(manifest("one")),
                store.write(Statement(failure)),
                store.put_manifest(manifest("two")),
            );
            first.unwrap();
            assert!(matches!(failed, Err(MetadataError::Database(_))), "{failure}");
            second.unwrap();
        })
        .await;
        assert!(has_tag(&store, "one").await && has_tag(&store, "two").await, "{failure}");
        store.put_manifest(manifest("three")).await.unwrap();
        assert!(has_tag(&store, "three").await, "{failure}");
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_reading_goes_on() {
    let (store, _directory) = open().await;
    store.put_manifest(manifest("one")).await.unwrap();
    let pages = "PRAGMA max_page_count = 1";
    store.write(Statement(pages)).await.unwrap();
    let mut large = manifest("two");
    large.payload = vec![b'x'; 100_000].into();

    for _ in 0..3 {
        let (refused, small) =
            tokio::join!(store.put_manifest(large.clone()), store.create_upload(upload()));
        assert!(matches!(refused, Err(MetadataError::NoSpace)), "{refused:?}");
        small.unwrap();
    }

    assert!(has_tag(&store, "one").await);
    assert!(!has_tag(&store, "two").await);
    store.ping().await.unwrap();
    store.write(Statement("PRAGMA max_page_count = 1000000")).await.unwrap();
    store.put_manifest(large).await.unwrap();
    assert!(has_tag(&store, "two").await);
}

#[tokio::test]
async fn a_database_that_became_read_only_is_told() {
    let (store, _directory) = open().await;
    store.put_manifest(manifest("one")).await.unwrap();
    store.write(Statement("PRAGMA query_only = 1")).await.unwrap();

    let refused = store.put_manifest(manifest("two")).await;

    assert!(matches!(refused, Err(MetadataError::ReadOnly { .. })), "{refused:?}");
    assert!(has_tag(&store, "one").await);
}

/// What a commit will wait for: 2 for stable storage (FULL), 1 for the system alone (NORMAL).
struct Synchronous<const RELAXED: bool>;

#[async_trait]
impl<const IS_RELAXED: bool> Operation for Synchronous<IS_RELAXED> {
    type Output = i64;
    const RELAXED: bool = IS_RELAXED;

    async fn apply(&self, context: &mut Context<'_>) -> Result<i64, Fault> {
        let (level,) =
            sqlx::query_as("PRAGMA synchronous").fetch_one(&mut *context.connection).await?;
        Ok(level)
    }
}

#[tokio::test]
async fn only_what_is_relaxed_altogether_skips_the_disk() {
    let (store, _directory) = open().await;
    for _ in 0..2 {
        assert_eq!(store.write(Synchronous::<true>).await.unwrap(), 1);
        assert_eq!(store.write(Synchronous::<false>).await.unwrap(), 2);
    }
    together(&store, async {
        let (relaxed, full) =
            tokio::join!(store.write(Synchronous::<true>), store.write(Synchronous::<false>));
        assert_eq!((relaxed.unwrap(), full.unwrap()), (2, 2));
    })
    .await;
}

/// Every lookup and every first page has to stay as fast in a large database as in a small one.
#[tokio::test]
async fn no_statement_scans_or_sorts_a_table() {
    let (store, _directory) = open().await;
    let mut connection = store.reader().await.unwrap();
    let others = [
        blobs::WITHOUT_BLOB,
        blobs::FIND,
        blobs::FIND_ANYWHERE,
        blobs::FINISH,
        blobs::LINK,
        blobs::UNLINK,
        manifests::FIND_BY_TAG,
        manifests::FIND_BY_DIGEST,
        manifests::FIND_MANY,
        manifests::MISSING,
        manifests::STORE,
        manifests::REFER_AND_TAG,
        mirrored::FIND,
        mirrored::CHECKED,
        mirrored::KNOWS_BLOB,
        removal::TAKE_TAGS,
        removal::RECORD_TAGS,
        removal::RECORD,
        removal::LINKS,
        removal::SET_TIMES,
        removal::DELETE,
        removal::DISCARD_FILES,
        removal::FOLLOW,
        deletion::END,
        deletion::FIND_OPEN,
        deletion::FIND,
        deletion::MARK,
        deletion::EXTEND,
        deletion::OPEN,
        deletion::OLD_TAGS,
        deletion::OLD_MANIFESTS,
        deletion::SUBJECT,
        deletion::ATTACHED_TAGS,
        deletion::ATTACHED,
        deletion::REFERRERS,
        deletion::DELETE_TAGS,
        deletion::LIST_OPEN,
        restore::LIST_OF_REPOSITORY,
        restore::FIND_WHOLE,
        restore::FIND_MANIFEST,
        restore::FIND_TAG,
        restore::MANIFEST,
        restore::FIND_DELETION,
        restore::FIND_BOTH,
        restore::REFERENCES,
        restore::HAS_TAGS,
        restore::STORE,
        restore::FIND_STORED,
        restore::REFER,
        restore::TAGS,
        restore::SET_TAGS,
        restore::FORGET_EMPTY,
        restore::OVER,
        restore::FORGET_MANIFESTS,
        restore::FORGET_TAGS,
        manifests::FIND_DIGEST,
        manifests::NOTE_PUSH_AGAIN,
        deletion::TAGS_OF,
        tags::LIST,
        tags::FIND,
        tags::DELETE,
        repositories::LIST,
        repositories::FIND,
        referrers::LIST,
        outbox_sql::LIST,
        outbox::DONE,
        events::INSERT,
        events::LIST,
        events::DONE,
        events::TRIM,
        expiry::TAG_USES,
        expiry::IS_AS_SEEN,
        expiry::UNTAGGED,
        expiry::RECORD_PULLS,
        eviction::IS_HERE,
        eviction::NOTE_AGAIN,
        eviction::FORGET,
        eviction::IDLE,
        uploads::FIND,
        uploads::EXISTS,
        uploads::STALE,
        uploads::ADVANCE,
        uploads::DELETE,
        links::DUE,
        links::JUDGE,
        links::RELEASE,
        links::LEASE,
        collection::REMOVABLE,
        collection::GONE,
        collection::BACKLOG,
        collection::IS_REMOVING,
        collection::DISCARD_FILES,
        usage::USAGE,
        adoption::ADOPT_BLOBS,
        adoption::ADOPT_LINKS,
        adoption::WITHOUT_BLOB,
        adoption::UNKNOWN_MANIFESTS,
        adoption::ADOPT_MANIFEST,
        adoption::NOTE_MISFITS,
        adoption::MISFITS,
        adoption::FORGET_MISFITS,
        adoption::NEXT_TAGS,
        adoption::ADOPT_TAGS,
        adoption::UNLINKED_REFERENCES,
        damage::LIST,
        damage::MOVE,
        damage::NOTE,
        damage::REPOSITORIES,
        tree_sql::BLOBS,
        tree_sql::MANIFESTS,
        tree_sql::TAGS,
    ];
    for statements in others.iter().chain(accounts::plans::INDEXED) {
        for statement in statements.split(';').filter(|text| !text.trim().is_empty()) {
            let explain = format!("EXPLAIN QUERY PLAN {statement}");
            let rows = sqlx::query(sqlx::AssertSqlSafe(explain)).fetch_all(&mut *connection).await;
            for row in rows.unwrap() {
                let step: String = row.get("detail");
                let scans = step.starts_with("SCAN")
                    && !step.contains("VIRTUAL TABLE")
                    && step != "SCAN CONSTANT ROW"
                    // What was found by an index.
                    && !step.starts_with("SCAN (subquery")
                    // In the order of its key, as far as the limit says.
                    && step != "SCAN o"
                    && step != "SCAN f"
                    && step != "SCAN found_tags"
                    // What a limit has let through.
                    && step != "SCAN due"
                    && step != "SCAN looked_at";
                let sorts = step.contains("TEMP B-TREE") && !statement.contains("json_each");
                assert!(!scans && !sorts, "{step}\n{statement}");
            }
        }
    }
}
