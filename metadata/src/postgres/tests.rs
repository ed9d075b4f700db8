//! What can be seen from inside alone: query plans.

use berth_test_stores::Postgres;
use sqlx::Row as _;

use super::options::PostgresOptions;
use super::store::transfer_session;
use super::{
    blobs, collection, events, expiry, manifests, outbox, referrers, repositories, tags, uploads,
};
use crate::postgres::Session;

/// Enough that the planner would rather not read all of it: 5,000 repositories, 50,000 tags and as
/// many manifests and blobs in one of them, the rest spread.
const FILL: &str = "
    INSERT INTO repositories (name) SELECT 'repository-' || n FROM generate_series(1, 5000) n;
    INSERT INTO blobs (digest, size, created_at, location)
    SELECT decode('00' || md5(n::text) || md5(n::text), 'hex'), n, 0, n || ':berth/blobs/' || n || ':0'
    FROM generate_series(1, 60000) n;
    INSERT INTO repository_blobs (repository_id, blob_id, linked_at, leased_until)
    SELECT CASE WHEN id <= 50000 THEN 1 ELSE 1 + id % 5000 END, id, 0, 0 FROM blobs;
    UPDATE repository_blobs SET review_at = blob_id;
    INSERT INTO garbage (digest, size, remove_at, location)
    SELECT digest, size, id, 'garbage/' || id FROM blobs;
    INSERT INTO manifests (repository_id, digest, media_type, subject, created_at, payload)
    SELECT CASE WHEN n <= 50000 THEN 1 ELSE 1 + n % 5000 END,
        decode('00' || md5(n::text) || md5(n::text), 'hex'), 'application/json',
        CASE WHEN n % 2 = 0 THEN decode('00' || md5((n / 100)::text) || md5((n / 100)::text), 'hex') END,
        0, '{}'
    FROM generate_series(1, 60000) n;
    INSERT INTO manifest_blobs (manifest_id, digest, repository_id)
    SELECT id, digest, repository_id FROM manifests;
    INSERT INTO tags (repository_id, name, manifest_id, updated_at)
    SELECT repository_id, 'tag-' || id, id, 0 FROM manifests;
    INSERT INTO manifest_manifests (manifest_id, digest) SELECT id, digest FROM manifests;
    INSERT INTO manifest_times (manifest_id, untagged_at) SELECT id, id FROM manifests;
    INSERT INTO uploads (id, repository, algorithm, received, started_at, updated_at, hash_state, handle)
    SELECT decode(md5(n::text), 'hex'), 'app', 0, 0, n, n, '', '' FROM generate_series(1, 20000) n;
    INSERT INTO outbox (kind, repository, digest)
    SELECT 'link_blob', 'repository-1', digest FROM blobs;
    INSERT INTO events (endpoint, uuid, happened_at, action, repository, digest, origin)
    SELECT 'hook-' || id % 2, '', id, 'push', 'repository-1', digest, '{}' FROM blobs;
    ANALYZE";

/// The plan of a statement that is prepared once and used for every value.
async fn plan(session: &mut Session, sql: &str) -> String {
    let parameters = (1..=9).filter(|n| sql.contains(&format!("${n}"))).count();
    let values = vec!["NULL"; parameters].join(", ");
    let values = if parameters == 0 { String::new() } else { format!("({values})") };
    let explain = format!(
        "SET plan_cache_mode = force_generic_plan; DEALLOCATE ALL;
        PREPARE statement AS {sql}; EXPLAIN EXECUTE statement{values}"
    );
    let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(explain)).fetch_all(session.connection()).await;
    let lines: Vec<String> = rows.unwrap().iter().map(|row| row.get(0)).collect();
    lines.join("\n")
}

#[tokio::test]
async fn every_statement_on_the_request_path_goes_by_an_index() {
    let server = Postgres::options().fsync(false).start().unwrap();
    let options = PostgresOptions::new(server.database().unwrap());
    let (_, mut session) = transfer_session(&options).await.unwrap();
    sqlx::raw_sql(FILL).execute(session.connection()).await.unwrap();

    // In the order of the answer by themselves.
    let listings = [
        ("repositories", repositories::LIST),
        ("tags", tags::LIST),
        ("referrers", referrers::LIST),
        ("outbox", outbox::LIST),
        ("events", events::LIST),
        ("stale uploads", uploads::STALE),
        ("uses of tags", expiry::TAG_USES),
        ("untagged manifests", expiry::UNTAGGED),
        ("due links", collection::LOCK_DUE),
        ("garbage", collection::REMOVABLE),
    ];
    let others = [
        ("repository", repositories::FIND),
        ("manifests", manifests::FIND_MANY),
        ("manifest to delete", manifests::LOCK),
        ("required blobs", manifests::HOLD_BLOBS),
        ("required manifests", manifests::HOLD_MANIFESTS),
        ("blobs", blobs::FIND_MANY),
        ("blob to mount", blobs::FIND_TO_MOUNT),
        ("blob to unlink", blobs::UNLINK),
        ("locations", blobs::WITHOUT_BLOB),
        ("upload", uploads::FIND),
        ("uploads to take", uploads::TAKE_STALE),
        ("tag to delete", tags::DELETE),
        ("tag that is pushed again", manifests::POINT_AGAIN),
        ("tag to expire", expiry::LOCK_AS_SEEN),
        ("manifests to expire", expiry::LOCK),
        ("manifests to look at again", expiry::UNTAGGED_AMONG),
        ("pulls", expiry::RECORD_PULLS),
        ("links of a deleted manifest", manifests::REVIEW_BLOBS),
        ("file of a deleted manifest", manifests::DISCARD_FILE),
        ("links to look at", collection::DUE),
        ("links to judge", collection::JUDGE),
        ("blobs to lock", collection::LOCK_BLOBS),
        ("blobs to release", collection::RELEASE),
        ("link to renew", collection::LEASE),
        ("backlog", collection::BACKLOG),
        ("whether anything is being removed", collection::IS_REMOVING),
        ("events to drop", events::TRIM),
        ("old events to drop", events::EXPIRE),
    ];
    for (name, sql) in listings.iter().chain(&others) {
        // A table of two or three rows.
        let plan = plan(&mut session, sql).await.replace("Seq Scan on settings", "");
        assert!(!plan.contains("Seq Scan"), "{name}:\n{plan}");
    }
    for (name, sql) in listings {
        let plan = plan(&mut session, sql).await;
        assert!(!plan.contains("Sort"), "{name}:\n{plan}");
    }
}
