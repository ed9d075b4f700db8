//! Garbage: taking it to be removed, what became of it, and how far that is.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::Digest;

use super::engine::{Context, Operation};
use super::now;
use super::session::Session;
use crate::encoding::{digest_bytes, duration, micros, time};
use crate::fault::Fault;
use crate::lifecycle::{self, REMEMBERED, Removal};
use crate::rows::{self, GarbageRow, TakenRow, TimedRow};
use crate::{BlobLocation, CollectionBacklog, GarbageId, TakenGarbage};

/// The server's time.
pub(super) async fn present(session: &mut Session) -> Result<SystemTime, Fault> {
    let micros: i64 =
        session.query_scalar(concat!("SELECT ", now!())).fetch_one(session.connection()).await?;
    time(micros)
}

/// See [`MetadataStore::discard_files`](crate::MetadataStore::discard_files).
pub(super) struct DiscardFiles(pub(super) Vec<Digest>);

#[async_trait]
impl Operation for DiscardFiles {
    type Output = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let digests: Vec<Vec<u8>> = self.0.iter().map(digest_bytes).collect();
        context
            .session
            .query(DISCARD_FILES)
            .bind(&digests)
            .execute(context.session.connection())
            .await?;
        let settled = context
            .session
            .query_scalar(ARE_SETTLED)
            .bind(digests)
            .fetch_one(context.session.connection())
            .await?;
        Ok(settled)
    }
}

/// A file may have been given up more than once, and the time is another in each row.
const DISCARD_FILES: &str = concat!(
    "INSERT INTO garbage AS g (digest, size, location, remove_at)
    SELECT DISTINCT ON (f.digest) f.digest, 0, '', ",
    now!(),
    " FROM unnest($1::bytea[]) AS f (digest)
    WHERE (SELECT count(*) FROM manifests m WHERE m.digest = f.digest) = 0
        AND (SELECT count(*) FROM blobs b WHERE b.digest = f.digest) = 0
    ON CONFLICT (digest, location) DO UPDATE SET gone = 0, remove_at = excluded.remove_at
    WHERE g.gone = 1"
);

const ARE_SETTLED: &str = concat!(
    "SELECT NOT EXISTS (
        SELECT 1 FROM garbage
        WHERE digest = ANY($1) AND location = '' AND held_until > ",
    now!(),
    ")"
);

/// See [`MetadataStore::take_garbage`](crate::MetadataStore::take_garbage).
pub(super) struct Take {
    pub(super) limit: u32,
    pub(super) lease: Duration,
}

#[async_trait]
impl Operation for Take {
    type Output = Vec<TakenGarbage>;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Vec<TakenGarbage>, Fault> {
        let now = present(context.session).await?;
        let gone: Vec<TimedRow> = context
            .session
            .query_as(GONE)
            .bind(micros(now))
            .bind(i64::from(self.limit))
            .fetch_all(context.session.connection())
            .await?;
        context
            .session
            .query("DELETE FROM garbage WHERE id = ANY($1)")
            .bind(rows::forgettable(gone, now)?)
            .execute(context.session.connection())
            .await?;
        let rows: Vec<TimedRow> = context
            .session
            .query_as(REMOVABLE)
            .bind(micros(now))
            .bind(i64::from(self.limit))
            .fetch_all(context.session.connection())
            .await?;
        let ids = rows::removable(rows, now)?;
        let rows: Vec<TakenRow> = context
            .session
            .query_as(TAKE)
            .bind(ids)
            .bind(duration(self.lease))
            .fetch_all(context.session.connection())
            .await?;
        rows.into_iter().map(rows::taken).collect()
    }
}

/// Removals whose time to be remembered is over.
pub(super) const GONE: &str = "
    SELECT g.id, g.remove_at, g.round, g.held_until, g.gone
    FROM garbage g
    WHERE g.remove_at <= $1 AND g.gone = 1
    ORDER BY g.remove_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED";

/// The count keeps the planner from reading all blobs at once.
pub(super) const REMOVABLE: &str = "
    SELECT g.id, g.remove_at, g.round, g.held_until, g.gone
    FROM garbage g
    WHERE g.remove_at <= $1 AND g.held_until <= $1 AND g.gone = 0
        AND (
            SELECT count(*) FROM blobs b WHERE b.digest = g.digest AND b.location = g.location
        ) = 0
        AND NOT (
            g.location = '' AND (SELECT count(*) FROM manifests m WHERE m.digest = g.digest) > 0
        )
    ORDER BY g.remove_at
    LIMIT $2
    FOR UPDATE OF g SKIP LOCKED";

const TAKE: &str = concat!(
    "UPDATE garbage SET round = round + 1, held_until = ",
    now!(),
    " + $2 WHERE id = ANY($1) RETURNING id, digest, size, location, round"
);

/// The tries that the rows `$1` are at, by the rounds `$2`.
macro_rules! tried {
    () => {
        "(id, round) IN (SELECT * FROM unnest($1::bigint[], $2::bigint[]))"
    };
}

/// See [`MetadataStore::garbage_removed`](crate::MetadataStore::garbage_removed).
pub(super) struct Removed(pub(super) Vec<GarbageId>);

#[async_trait]
impl Operation for Removed {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let (rows, rounds) = rows::tries(&self.0)?;
        context
            .session
            .query(FORGET_NAMED)
            .bind(&rows)
            .bind(&rounds)
            .execute(context.session.connection())
            .await?;
        context
            .session
            .query(REMEMBER)
            .bind(rows)
            .bind(rounds)
            .bind(duration(REMEMBERED))
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}

/// Only where the place is the digest's can another upload lie there.
const FORGET_NAMED: &str = concat!("DELETE FROM garbage WHERE ", tried!(), " AND location <> ''");

const REMEMBER: &str = concat!(
    "UPDATE garbage SET gone = 1, held_until = 0, remove_at = ",
    now!(),
    " + $3 WHERE ",
    tried!()
);

/// See [`MetadataStore::garbage_failed`](crate::MetadataStore::garbage_failed).
pub(super) struct Failed {
    pub(super) failed: Vec<GarbageId>,
    pub(super) pause: Duration,
}

#[async_trait]
impl Operation for Failed {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let (rows, rounds) = rows::tries(&self.failed)?;
        context
            .session
            .query(FAIL)
            .bind(rows)
            .bind(rounds)
            .bind(duration(self.pause))
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}

const FAIL: &str =
    concat!("UPDATE garbage SET held_until = 0, remove_at = ", now!(), " + $3 WHERE ", tried!());

pub(super) async fn removal(
    session: &mut Session,
    digest: &Digest,
    location: &BlobLocation,
) -> Result<Option<Removal>, Fault> {
    let row: Option<GarbageRow> = session
        .query_as(
            "SELECT remove_at, round, held_until, gone FROM garbage
            WHERE digest = $1 AND location = $2",
        )
        .bind(digest_bytes(digest))
        .bind(location.0.as_str())
        .fetch_optional(session.connection())
        .await?;
    row.map(|row| Ok(rows::garbage(row)?.removal)).transpose()
}

/// The garbage at the place of a push, locked.
pub(super) async fn at_place(
    session: &mut Session,
    digest: &Digest,
    location: &BlobLocation,
) -> Result<Option<(i64, lifecycle::Garbage)>, Fault> {
    let row: Option<TimedRow> = session
        .query_as(
            "SELECT id, remove_at, round, held_until, gone FROM garbage
            WHERE digest = $1 AND location = $2 FOR UPDATE",
        )
        .bind(digest_bytes(digest))
        .bind(location.0.as_str())
        .fetch_optional(session.connection())
        .await?;
    let garbage = |(id, remove_at, round, held_until, gone)| {
        Ok((id, rows::garbage((remove_at, round, held_until, gone))?))
    };
    row.map(garbage).transpose()
}

/// Takes a blob out of the garbage.
pub(super) async fn revive(session: &mut Session, id: i64) -> Result<(), Fault> {
    session
        .query("DELETE FROM garbage WHERE id = $1")
        .bind(id)
        .execute(session.connection())
        .await?;
    Ok(())
}

pub(super) async fn is_removing(session: &mut Session) -> Result<bool, Fault> {
    Ok(session.query_scalar(IS_REMOVING).fetch_one(session.connection()).await?)
}

pub(super) const IS_REMOVING: &str = "SELECT EXISTS (SELECT 1 FROM garbage WHERE held_until > 0)";

pub(super) async fn backlog(session: &mut Session) -> Result<CollectionBacklog, Fault> {
    rows::backlog(session.query_as(BACKLOG).fetch_one(session.connection()).await?)
}

pub(super) const BACKLOG: &str = concat!(
    "SELECT
        (SELECT review_at FROM repository_blobs WHERE review_at <= t.now
            ORDER BY review_at LIMIT 1),
        (SELECT remove_at FROM garbage WHERE remove_at <= t.now AND gone = 0
            ORDER BY remove_at LIMIT 1)
    FROM (SELECT ",
    now!(),
    " AS now) t"
);
