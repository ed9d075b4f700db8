//! Garbage: taking it to be removed, what became of it, and how far that is.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::Digest;
use sqlx::SqliteConnection;

use super::writer::{Context, Operation};
use crate::encoding::{self, digest_bytes, duration, json, lease_end, micros, time};
use crate::fault::Fault;
use crate::lifecycle::{REMEMBERED, Removal};
use crate::rows::{self, GarbageRow, TakenRow, TimedRow};
use crate::{BlobLocation, CollectionBacklog, GarbageId, TakenGarbage};

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
    WHERE g.held_until > $2";

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
        let gone: Vec<TimedRow> = sqlx::query_as(GONE)
            .bind(context.now)
            .bind(i64::from(self.limit))
            .fetch_all(&mut *context.connection)
            .await?;
        let forgotten = rows::forgettable(gone, now)?;
        let rows: Vec<TakenRow> = sqlx::query_as(TAKE)
            .bind(json(&ids)?)
            .bind(lease_end(context.now, self.lease))
            .bind(json(&forgotten)?)
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

/// Removals whose time to be remembered is over.
pub(super) const GONE: &str = "
    SELECT g.id, g.remove_at, g.round, g.held_until, g.gone
    FROM garbage g
    WHERE g.remove_at <= $1 AND g.gone = 1
    ORDER BY g.remove_at
    LIMIT $2";

/// Forgets some removals, too.
const TAKE: &str = "
    DELETE FROM garbage WHERE id IN (SELECT value FROM json_each($3));
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
