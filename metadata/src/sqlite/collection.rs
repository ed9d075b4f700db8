use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName};
use sqlx::SqliteConnection;

use super::cache::Cache;
use super::writer::{Context, Operation};
use crate::encoding::{self, digest_bytes, duration, lease_end, micros, time};
use crate::fault::Fault;
use crate::lifecycle::{REMEMBERED, Removal, Verdict};
use crate::rows::{self, GarbageRow, LinkColumns, LinkRow, TakenRow, TimedRow};
use crate::{
    BlobLocation, CollectionBacklog, DueLink, GarbageId, LinkCursor, ReviewedLinks, TakenGarbage,
};

/// Links behind a place in the order of their reviews, whose time has come.
pub(super) async fn due_links(
    connection: &mut SqliteConnection,
    after: Option<LinkCursor>,
    limit: u32,
) -> Result<Vec<DueLink>, Fault> {
    let now = SystemTime::now();
    let rows = due(connection, after, micros(now), limit).await?;
    rows.into_iter().map(|row| row.due(now)).collect()
}

async fn due(
    connection: &mut SqliteConnection,
    after: Option<LinkCursor>,
    now: i64,
    limit: u32,
) -> Result<Vec<LinkRow>, Fault> {
    let after = after.unwrap_or(LinkCursor { review_at: i64::MIN, repository: 0, blob: 0 });
    let rows: Vec<LinkColumns> = sqlx::query_as(DUE)
        .bind(now)
        .bind(i64::from(limit))
        .bind(after.review_at)
        .bind(after.repository)
        .bind(after.blob)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(LinkRow::from).collect())
}

pub(super) const DUE: &str = "
    SELECT l.review_at, l.repository_id, l.blob_id, r.name AS repository, b.digest, b.size,
        l.leased_until,
        EXISTS (
            SELECT 1 FROM manifest_blobs p
            WHERE p.digest = b.digest AND p.repository_id = l.repository_id
        ) AS pinned,
        NOT EXISTS (
            SELECT 1 FROM repository_blobs o
            WHERE o.blob_id = l.blob_id AND o.repository_id <> l.repository_id
        ) AS is_last
    FROM repository_blobs l
    JOIN repositories r ON r.id = l.repository_id
    JOIN blobs b ON b.id = l.blob_id
    WHERE l.review_at <= $1
        AND (l.review_at, l.repository_id, l.blob_id) > ($3, $4, $5)
    ORDER BY l.review_at, l.repository_id, l.blob_id
    LIMIT $2";

/// See [`MetadataStore::review_links`](crate::MetadataStore::review_links).
pub(super) struct Review {
    pub(super) limit: u32,
    pub(super) grace: Duration,
}

/// What a review did, and what became of which blobs.
pub(super) struct Reviewed {
    pub(super) links: ReviewedLinks,
    unlinked: Vec<Digest>,
}

#[async_trait]
impl Operation for Review {
    type Output = Reviewed;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Reviewed, Fault> {
        let now = time(context.now)?;
        let due = due(context.connection, None, context.now, self.limit).await?;
        let (mut kept, mut gone, mut unlinked) = (Vec::new(), Vec::new(), Vec::new());
        for link in &due {
            match link.verdict(now)? {
                Verdict::Keep(until) => {
                    kept.push((link.repository_id, link.blob_id, micros(until)));
                }
                Verdict::Unlink => {
                    gone.push((link.repository_id, link.blob_id));
                    unlinked.push(encoding::digest(&link.digest)?);
                }
            }
        }
        sqlx::query(REVIEWED)
            .bind(json(&kept)?)
            .bind(json(&gone)?)
            .bind(context.record_links)
            .execute(&mut *context.connection)
            .await?;
        let digests: Vec<Vec<u8>> = unlinked.iter().map(digest_bytes).collect();
        let digests: Vec<&[u8]> = digests.iter().map(Vec::as_slice).collect();
        let (released, released_bytes) = release(context, &digests, self.grace).await?;
        let links = ReviewedLinks {
            kept: kept.len() as u64,
            unlinked: gone.len() as u64,
            released,
            released_bytes,
        };
        Ok(Reviewed { links, unlinked })
    }

    fn invalidate(&self, reviewed: &Reviewed, cache: &Cache) {
        for digest in &reviewed.unlinked {
            cache.blob_changed(digest);
        }
    }
}

fn json(rows: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(rows).map_err(|_| Fault::Malformed("list of links"))
}

const REVIEWED: &str = "
    UPDATE repository_blobs SET review_at = k.value ->> 2
    FROM json_each($1) k
    WHERE repository_id = k.value ->> 0 AND blob_id = k.value ->> 1;
    INSERT INTO outbox (kind, repository, digest)
    SELECT 'unlink_blob', r.name, b.digest
    FROM json_each($2) g
    CROSS JOIN repositories r ON r.id = g.value ->> 0
    CROSS JOIN blobs b ON b.id = g.value ->> 1
    WHERE $3;
    DELETE FROM repository_blobs
    WHERE (repository_id, blob_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each($2))";

/// Makes garbage of those of some blobs that no repository links any longer. Answers how many, and
/// their bytes.
pub(super) async fn release(
    context: &mut Context<'_>,
    digests: &[&[u8]],
    grace: Duration,
) -> Result<(u64, u64), Fault> {
    if digests.is_empty() {
        return Ok((0, 0));
    }
    let digests: Vec<String> = digests.iter().map(|digest| hex(digest)).collect();
    let sizes: Vec<i64> = sqlx::query_scalar(RELEASE)
        .bind(json(&digests)?)
        .bind(lease_end(context.now, grace))
        .fetch_all(&mut *context.connection)
        .await?;
    let bytes = sizes.iter().filter_map(|size| u64::try_from(*size).ok()).sum();
    Ok((sizes.len() as u64, bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that were removed from a place before, where others were pushed since, are removed anew. In
/// a storage tree they may be those of a manifest, too.
pub(super) const RELEASE: &str = "
    INSERT INTO garbage (digest, size, location, remove_at)
    SELECT b.digest, b.size, b.location, $2
    FROM json_each($1) g
    CROSS JOIN blobs b ON b.digest = unhex(g.value)
    WHERE NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.blob_id = b.id)
        AND NOT (b.location = '' AND EXISTS (SELECT 1 FROM manifests m WHERE m.digest = b.digest))
    ON CONFLICT (digest, location) DO UPDATE SET
        size = excluded.size, remove_at = excluded.remove_at, round = 0, held_until = 0, gone = 0
    RETURNING size;
    DELETE FROM blobs
    WHERE digest IN (SELECT unhex(value) FROM json_each($1))
        AND NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.blob_id = blobs.id)";

/// See [`MetadataStore::lease_blob`](crate::MetadataStore::lease_blob).
pub(super) struct LeaseBlob {
    pub(super) repository: RepositoryName,
    pub(super) digest: Digest,
    pub(super) lease: Duration,
}

#[async_trait]
impl Operation for LeaseBlob {
    type Output = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let leased = sqlx::query(LEASE)
            .bind(self.repository.as_str())
            .bind(digest_bytes(&self.digest))
            .bind(lease_end(context.now, self.lease))
            .execute(&mut *context.connection)
            .await?;
        Ok(leased.rows_affected() > 0)
    }

    fn invalidate(&self, _: &bool, cache: &Cache) {
        cache.blob_changed(&self.digest);
    }
}

pub(super) const LEASE: &str = "
    UPDATE repository_blobs
    SET leased_until = max(leased_until, $3), review_at = max(review_at, $3)
    WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)
        AND blob_id = (SELECT id FROM blobs WHERE digest = $2)";

/// See [`MetadataStore::discard_files`](crate::MetadataStore::discard_files).
pub(super) struct DiscardFiles(pub(super) Vec<Digest>);

#[async_trait]
impl Operation for DiscardFiles {
    type Output = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let running: Vec<i64> = sqlx::query_scalar(DISCARD_FILES)
            .bind(encoding::digest_array(&self.0))
            .bind(context.now)
            .fetch_all(&mut *context.connection)
            .await?;
        Ok(running.is_empty())
    }
}

pub(super) const DISCARD_FILES: &str = "
    INSERT INTO garbage (digest, size, location, remove_at)
    SELECT unhex(f.value), 0, '', $2 FROM json_each($1) f
    WHERE NOT EXISTS (SELECT 1 FROM manifests m WHERE m.digest = unhex(f.value))
        AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = unhex(f.value))
    ON CONFLICT (digest, location) DO UPDATE SET gone = 0, remove_at = excluded.remove_at
    WHERE gone = 1;
    SELECT g.id FROM json_each($1) f
    CROSS JOIN garbage g ON g.digest = unhex(f.value) AND g.location = ''
    WHERE g.held_until <> 0";

/// See [`MetadataStore::take_garbage`](crate::MetadataStore::take_garbage).
pub(super) struct Take {
    pub(super) limit: u32,
    pub(super) lease: Duration,
}

#[async_trait]
impl Operation for Take {
    type Output = Vec<TakenGarbage>;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Vec<TakenGarbage>, Fault> {
        let now = time(context.now)?;
        let rows: Vec<TimedRow> = sqlx::query_as(REMOVABLE)
            .bind(context.now)
            .bind(i64::from(self.limit))
            .fetch_all(&mut *context.connection)
            .await?;
        let ids = rows::removable(rows, now)?;
        let rows: Vec<TakenRow> = sqlx::query_as(TAKE)
            .bind(json(&ids)?)
            .bind(lease_end(context.now, self.lease))
            .bind(context.now)
            .fetch_all(&mut *context.connection)
            .await?;
        rows.into_iter().map(rows::taken).collect()
    }
}

pub(super) const REMOVABLE: &str = "
    SELECT g.id, g.remove_at, g.round, g.held_until, g.gone
    FROM garbage g
    WHERE g.remove_at <= $1 AND g.held_until <= $1 AND g.gone = 0
        AND NOT EXISTS (
            SELECT 1 FROM blobs b WHERE b.digest = g.digest AND b.location = g.location
        )
        AND NOT (g.location = '' AND EXISTS (SELECT 1 FROM manifests m WHERE m.digest = g.digest))
    ORDER BY g.remove_at
    LIMIT $2";

/// Forgets removals whose time is over, too.
const TAKE: &str = "
    DELETE FROM garbage WHERE remove_at <= $3 AND gone = 1;
    UPDATE garbage SET round = round + 1, held_until = $2
    WHERE id IN (SELECT value FROM json_each($1))
    RETURNING id, digest, size, location, round";

/// Ends the removals of a process that had the file before: it is dead.
pub(super) async fn forget_holders(connection: &mut SqliteConnection) -> Result<(), Fault> {
    sqlx::query("UPDATE garbage SET held_until = 0 WHERE held_until > 0")
        .execute(connection)
        .await?;
    Ok(())
}

/// See [`MetadataStore::garbage_removed`](crate::MetadataStore::garbage_removed).
pub(super) struct Removed(pub(super) Vec<GarbageId>);

#[async_trait]
impl Operation for Removed {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        sqlx::query(REMOVED)
            .bind(tries(&self.0)?)
            .bind(lease_end(context.now, REMEMBERED))
            .execute(&mut *context.connection)
            .await?;
        Ok(())
    }
}

/// Only where the place is the digest's can another upload lie there.
const REMOVED: &str = "
    DELETE FROM garbage
    WHERE (id, round) IN (SELECT value ->> 0, value ->> 1 FROM json_each($1)) AND location <> '';
    UPDATE garbage SET gone = 1, held_until = 0, remove_at = $2
    WHERE (id, round) IN (SELECT value ->> 0, value ->> 1 FROM json_each($1))";

/// See [`MetadataStore::garbage_failed`](crate::MetadataStore::garbage_failed).
pub(super) struct Failed {
    pub(super) failed: Vec<GarbageId>,
    pub(super) pause: Duration,
}

#[async_trait]
impl Operation for Failed {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        sqlx::query(
            "UPDATE garbage SET held_until = 0, remove_at = $2
            WHERE (id, round) IN (SELECT value ->> 0, value ->> 1 FROM json_each($1))",
        )
        .bind(tries(&self.failed)?)
        .bind(context.now.saturating_add(duration(self.pause)))
        .execute(&mut *context.connection)
        .await?;
        Ok(())
    }
}

fn tries(ids: &[GarbageId]) -> Result<String, Fault> {
    let (rows, rounds) = rows::tries(ids)?;
    json(&rows.into_iter().zip(rounds).collect::<Vec<_>>())
}

pub(super) async fn removal(
    connection: &mut SqliteConnection,
    digest: &Digest,
    location: &BlobLocation,
) -> Result<Option<Removal>, Fault> {
    let row: Option<GarbageRow> = sqlx::query_as(
        "SELECT remove_at, round, held_until, gone FROM garbage WHERE digest = $1 AND location = $2",
    )
    .bind(digest_bytes(digest))
    .bind(location.0.as_str())
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok(rows::garbage(row)?.removal)).transpose()
}

pub(super) async fn is_removing(connection: &mut SqliteConnection) -> Result<bool, Fault> {
    Ok(sqlx::query_scalar(IS_REMOVING).fetch_one(connection).await?)
}

pub(super) const IS_REMOVING: &str = "SELECT EXISTS (SELECT 1 FROM garbage WHERE held_until > 0)";

pub(super) async fn backlog(connection: &mut SqliteConnection) -> Result<CollectionBacklog, Fault> {
    let row = sqlx::query_as(BACKLOG).bind(micros(SystemTime::now())).fetch_one(connection).await?;
    rows::backlog(row)
}

pub(super) const BACKLOG: &str = "
    SELECT
        (SELECT review_at FROM repository_blobs WHERE review_at <= $1 ORDER BY review_at LIMIT 1),
        (SELECT remove_at FROM garbage WHERE remove_at <= $1 AND gone = 0
            ORDER BY remove_at LIMIT 1)";
