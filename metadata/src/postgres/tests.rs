//! What can be seen from inside alone: query plans.

use berth_test_stores::Postgres;
use sqlx::Row as _;

use super::options::PostgresOptions;
use super::store::transfer_session;
use super::{
    accounts, blobs, collection, deletion, events, eviction, expiry, links, manifests, mirrored,
    referrers, removal, repositories, restore, tags, uploads,
};
use crate::postgres::Session;
use crate::rows::outbox_sql;

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
    INSERT INTO manifest_manifests (manifest_id, digest) SELECT id, digest FROM manifests;
    INSERT INTO tags (repository_id, name, manifest_id, updated_at)
    SELECT repository_id, 'tag-' || id, id, 0 FROM manifests;
    INSERT INTO manifest_times (manifest_id, untagged_at) SELECT id, id FROM manifests;
    INSERT INTO mirrored_tags (repository_id, name, digest, checked_at, upstream)
    SELECT repository_id, 'tag-' || id, digest, 0, 'hub' FROM manifests;
    INSERT INTO cached_manifests (manifest_id, prefix, pulled_at) SELECT id, 'hub', id FROM manifests;
    INSERT INTO uploads (id, repository, algorithm, received, started_at, updated_at, hash_state, handle)
    SELECT decode(md5(n::text), 'hex'), 'app', 0, 0, n, n, '', '' FROM generate_series(1, 20000) n;
    INSERT INTO outbox (kind, repository, digest)
    SELECT 'link_blob', 'repository-1', digest FROM blobs;
    INSERT INTO deletions (repository, digest, deleted_at, until, open)
    SELECT 'repository-' || id % 5000, digest, 0, id, (id % 100 = 0)::int FROM blobs;
    INSERT INTO deleted_manifests (
        deletion_id, repository, digest, media_type, created_at, blobs, manifests, payload
    )
    SELECT id, repository, digest, 'application/json', 0, '[]', '[]', '{}' FROM deletions;
    INSERT INTO deleted_tags (deletion_id, digest, name, repository)
    SELECT id, digest, 'tag-' || id, repository FROM deletions;
    INSERT INTO deleted_subjects (deletion_id, digest) SELECT id, digest FROM deletions;
    INSERT INTO deleted_repositories (repository_id, since) SELECT id, 0 FROM repositories;
    INSERT INTO events (endpoint, uuid, happened_at, action, repository, digest, origin)
    SELECT 'hook-' || id % 2, '', id, 'push', 'repository-1', digest, '{}' FROM blobs;
    ANALYZE";

/// The plan of a statement that is prepared once and used for every value.
async fn plan(session: &mut Session, sql: &str) -> String {
    let parameters = (1..=20).filter(|n| sql.contains(&format!("${n}"))).count();
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
    let (_, mut session) = transfer_session(&options, false).await.unwrap();
    for fill in [FILL, accounts::plans::FILL] {
        sqlx::raw_sql(fill).execute(session.connection()).await.unwrap();
    }

    // In the order of the answer by themselves.
    let listings = [
        ("repositories", repositories::LIST),
        ("tags", tags::LIST),
        ("referrers", referrers::LIST),
        ("outbox", outbox_sql::LIST),
        ("events", events::LIST),
        ("stale uploads", uploads::STALE),
        ("uses of tags", expiry::TAG_USES),
        ("untagged manifests", expiry::UNTAGGED),
        ("due links", links::LOCK_DUE),
        ("garbage", collection::REMOVABLE),
        ("cached manifests", eviction::IDLE),
        ("removals to forget", collection::GONE),
        ("open deletions", deletion::LIST_OPEN),
        ("deletions", restore::LIST),
        ("deletions to forget", restore::OVER),
        ("tags to restore", restore::TAGS),
    ];
    let others = [
        ("cached manifests that were pulled", expiry::NOTE_CACHED_PULLS),
        ("repository", repositories::FIND),
        ("manifests", manifests::FIND_MANY),
        ("repository that exists", repositories::EXISTING),
        ("manifest to delete", deletion::LOCK),
        ("index that names a manifest", deletion::NAMING_INDEX),
        ("repository to delete", deletion::MARK),
        ("deletion that goes on", deletion::EXTEND),
        ("open deletion", deletion::OPEN),
        ("tags of a repository that goes", deletion::TAKE_OLD_TAGS),
        ("manifests of a repository that goes", deletion::LOCK_OLD_MANIFESTS),
        ("manifests to delete", deletion::UNHELD),
        ("subject to follow", deletion::SUBJECT),
        ("attached tags", deletion::TAKE_ATTACHED_TAGS),
        ("attached manifests", deletion::LOCK_ATTACHED),
        ("referrers to delete", deletion::LOCK_REFERRERS),
        ("deletion to end", deletion::FORGET_EMPTY),
        ("tags of deleted manifests", removal::TAKE_TAGS),
        ("records of deleted manifests", removal::RECORD),
        ("subjects to remember", removal::FOLLOW),
        ("times of links", removal::SET_TIMES),
        ("deletions of a repository", restore::LIST_OF_REPOSITORY),
        ("newest deletion of a repository", restore::FIND_WHOLE),
        ("newest deletion of a manifest", restore::FIND_MANIFEST),
        ("newest deletion of a tag", restore::FIND_TAG),
        ("content of a deletion", restore::CONTENT),
        ("manifest of a deletion", restore::MANIFEST),
        ("deletion to restore", restore::LOCK_DELETION),
        ("references of a deleted manifest", restore::REFERENCES),
        ("whether a manifest had tags", restore::HAS_TAGS),
        ("manifest that is there", restore::LOCK_PRESENT),
        ("restored tags", restore::FORGET_NAMED_TAGS),
        ("manifests to forget", restore::FORGET_MANIFESTS),
        ("tags to forget", restore::FORGET_TAGS),
        ("manifest to store", manifests::STORE),
        ("tag to point", manifests::POINT),
        ("tag from upstream", mirrored::FIND),
        ("tag that was looked at", mirrored::CHECKED),
        ("blob anywhere", mirrored::KNOWS_BLOB),
        ("required blobs", manifests::HOLD_BLOBS),
        ("required manifests", manifests::HOLD_MANIFESTS),
        ("blobs", blobs::FIND_MANY),
        ("blob to mount", blobs::FIND_TO_MOUNT),
        ("blob to unlink", blobs::UNLINK),
        ("locations", blobs::WITHOUT_BLOB),
        ("upload", uploads::FIND),
        ("uploads to take", uploads::TAKE_STALE),
        ("tag to delete", tags::DELETE),
        ("tags of a manifest", deletion::TAGS_OF),
        ("tag that is pushed again", manifests::POINT_AGAIN),
        ("tag to expire", expiry::LOCK_AS_SEEN),
        ("manifests to expire", expiry::LOCK),
        ("manifests to look at again", expiry::UNTAGGED_AMONG),
        ("pulls", expiry::RECORD_PULLS),
        ("links of deleted manifests", removal::LINKS),
        ("files of deleted manifests", removal::DISCARD_FILES),
        ("links to look at", links::DUE),
        ("links to judge", links::JUDGE),
        ("blobs to lock", links::LOCK_BLOBS),
        ("blobs to release", links::RELEASE),
        ("link to renew", links::LEASE),
        ("backlog", collection::BACKLOG),
        ("whether anything is being removed", collection::IS_REMOVING),
        ("events to drop", events::TRIM),
        ("old events to drop", events::EXPIRE),
    ];
    let listings = [&listings, accounts::plans::LISTINGS].concat();
    let others = [&others, accounts::plans::OTHERS].concat();
    let mut bad = Vec::new();
    for (name, sql) in listings.iter().chain(&others) {
        // A table of two or three rows.
        let plan = plan(&mut session, sql).await.replace("Seq Scan on settings", "");
        if plan.contains("Seq Scan") {
            bad.push(format!("{name}:\n{plan}"));
        }
    }
    for (name, sql) in listings {
        let plan = plan(&mut session, sql).await;
        if plan.contains("Sort") {
            bad.push(format!("{name}:\n{plan}"));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}
