use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName};

use super::engine::{Context, Operation};
use super::session::Session;
use super::{now, outbox};
use crate::encoding::{digest_bytes, duration, micros, time};
use crate::fault::Fault;
use crate::lifecycle::{self, REMEMBERED, Removal, Verdict};
use crate::rows::{self, GarbageRow, LinkColumns, LinkRow, TakenRow, TimedRow};
use crate::{
    BlobLocation, CollectionBacklog, DueLink, GarbageId, LinkCursor, ReviewedLinks, TakenGarbage,
};

/// The server's time.
async fn present(session: &mut Session) -> Result<SystemTime, Fault> {
    let micros: i64 =
        session.query_scalar(concat!("SELECT ", now!())).fetch_one(session.connection()).await?;
    time(micros)
}

/// What the decision about a link needs.
macro_rules! judged {
    () => {
        " l.review_at, l.repository_id, l.blob_id, r.name AS repository, b.digest, b.size,
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
        JOIN blobs b ON b.id = l.blob_id "
    };
}

/// Links behind a place in the order of their reviews, whose time has come.
pub(super) async fn due_links(
    session: &mut Session,
    after: Option<LinkCursor>,
    limit: u32,
) -> Result<Vec<DueLink>, Fault> {
    let now = present(session).await?;
    let after = after.unwrap_or(LinkCursor { review_at: i64::MIN, repository: 0, blob: 0 });
    let rows: Vec<LinkColumns> = session
        .query_as(DUE)
        .bind(micros(now))
        .bind(i64::from(limit))
        .bind(after.review_at)
        .bind(after.repository)
        .bind(after.blob)
        .fetch_all(session.connection())
        .await?;
    rows.into_iter().map(|row| LinkRow::from(row).due(now)).collect()
}

pub(super) const DUE: &str = concat!(
    "SELECT",
    judged!(),
    "WHERE l.review_at <= $1 AND l.review_at >= $3
        AND (l.review_at, l.repository_id, l.blob_id) > ($3, $4, $5)
    ORDER BY l.review_at, l.repository_id, l.blob_id
    LIMIT $2"
);

/// See [`MetadataStore::review_links`](crate::MetadataStore::review_links).
pub(super) struct Review {
    pub(super) limit: u32,
    pub(super) grace: Duration,
}

#[async_trait]
impl Operation for Review {
    type Output = ReviewedLinks;

    async fn apply(&self, context: &mut Context<'_>) -> Result<ReviewedLinks, Fault> {
        let now = present(context.session).await?;
        let locked: Vec<(i64, i64)> = context
            .session
            .query_as(LOCK_DUE)
            .bind(micros(now))
            .bind(i64::from(self.limit))
            .fetch_all(context.session.connection())
            .await?;
        if locked.is_empty() {
            return Ok(ReviewedLinks::default());
        }
        // What pins them is looked for when nobody can pin them any longer: whoever stores a
        // manifest has to lock these rows, too.
        let (repositories, blobs) = columns(&locked);
        let links: Vec<LinkColumns> = context
            .session
            .query_as(JUDGE)
            .bind(repositories)
            .bind(blobs)
            .fetch_all(context.session.connection())
            .await?;
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        for link in links.into_iter().map(LinkRow::from) {
            match link.verdict(now)? {
                Verdict::Keep(until) => kept.push((link, micros(until))),
                Verdict::Unlink => gone.push(link.due(now)?),
            }
        }
        keep(context.session, &kept).await?;
        let (released, released_bytes) = self.unlink(context, &gone).await?;
        Ok(ReviewedLinks {
            kept: kept.len() as u64,
            unlinked: gone.len() as u64,
            released,
            released_bytes,
        })
    }
}

impl Review {
    async fn unlink(
        &self,
        context: &mut Context<'_>,
        gone: &[DueLink],
    ) -> Result<(u64, u64), Fault> {
        if gone.is_empty() {
            return Ok((0, 0));
        }
        let keys: Vec<_> =
            gone.iter().map(|link| (link.cursor.repository, link.cursor.blob)).collect();
        let (repositories, blobs) = columns(&keys);
        context
            .session
            .query(
                "DELETE FROM repository_blobs l
                USING unnest($1::bigint[], $2::bigint[]) AS g (repository_id, blob_id)
                WHERE l.repository_id = g.repository_id AND l.blob_id = g.blob_id",
            )
            .bind(repositories)
            .bind(&blobs)
            .execute(context.session.connection())
            .await?;
        for link in gone {
            let digest = Some(&link.digest);
            outbox::record(context, "unlink_blob", &link.repository, digest, None).await?;
        }
        release(context.session, blobs, self.grace).await
    }
}

async fn keep(session: &mut Session, kept: &[(LinkRow, i64)]) -> Result<(), Fault> {
    if kept.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = kept.iter().map(|(link, _)| (link.repository_id, link.blob_id)).collect();
    let (repositories, blobs) = columns(&keys);
    let times: Vec<i64> = kept.iter().map(|(_, until)| *until).collect();
    session
        .query(
            "UPDATE repository_blobs l SET review_at = k.review_at
            FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])
                AS k (repository_id, blob_id, review_at)
            WHERE l.repository_id = k.repository_id AND l.blob_id = k.blob_id",
        )
        .bind(repositories)
        .bind(blobs)
        .bind(times)
        .execute(session.connection())
        .await?;
    Ok(())
}

fn columns(keys: &[(i64, i64)]) -> (Vec<i64>, Vec<i64>) {
    keys.iter().copied().unzip()
}

/// A queue: what somebody is using at the moment is passed over, and found the next time.
pub(super) const LOCK_DUE: &str = "
    SELECT l.repository_id, l.blob_id
    FROM repository_blobs l
    WHERE l.review_at <= $1
    ORDER BY l.review_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED";

pub(super) const JUDGE: &str = concat!(
    "SELECT",
    judged!(),
    "JOIN unnest($1::bigint[], $2::bigint[]) AS q (repository_id, blob_id)
        ON q.repository_id = l.repository_id AND q.blob_id = l.blob_id
    ORDER BY l.blob_id"
);

/// Makes garbage of those of some blobs that no repository links any longer. Answers how many, and
/// their bytes.
pub(super) async fn release(
    session: &mut Session,
    blobs: Vec<i64>,
    grace: Duration,
) -> Result<(u64, u64), Fault> {
    // Whoever links a blob has its row locked: what is seen after this stays so.
    session.query(LOCK_BLOBS).bind(&blobs).execute(session.connection()).await?;
    let sizes: Vec<i64> = session
        .query_scalar(RELEASE)
        .bind(blobs)
        .bind(duration(grace))
        .fetch_all(session.connection())
        .await?;
    let bytes = sizes.iter().filter_map(|size| u64::try_from(*size).ok()).sum();
    Ok((sizes.len() as u64, bytes))
}

pub(super) const LOCK_BLOBS: &str =
    "SELECT id FROM blobs WHERE id = ANY($1) ORDER BY id FOR UPDATE";

/// Bytes that were removed from a place before, where others were pushed since, are removed anew. In
/// a storage tree they may be those of a manifest, too.
pub(super) const RELEASE: &str = concat!(
    "WITH released AS (
        DELETE FROM blobs b
        WHERE b.id = ANY($1)
            AND NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.blob_id = b.id)
        RETURNING b.digest, b.size, b.location
    )
    INSERT INTO garbage (digest, size, location, remove_at)
    SELECT digest, size, location, ",
    now!(),
    " + $2 FROM released r
    WHERE NOT (
        r.location = '' AND EXISTS (SELECT 1 FROM manifests m WHERE m.digest = r.digest)
    )
    ON CONFLICT (digest, location) DO UPDATE SET
        size = excluded.size, remove_at = excluded.remove_at, round = 0, held_until = 0, gone = 0
    RETURNING size"
);

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
        let leased = context
            .session
            .query(LEASE)
            .bind(self.repository.as_str())
            .bind(digest_bytes(&self.digest))
            .bind(duration(self.lease))
            .execute(context.session.connection())
            .await?;
        Ok(leased.rows_affected() > 0)
    }
}

pub(super) const LEASE: &str = concat!(
    "UPDATE repository_blobs l
    SET leased_until = greatest(leased_until, t.now + $3),
        review_at = greatest(review_at, t.now + $3)
    FROM (SELECT ",
    now!(),
    " AS now) t
    WHERE l.repository_id = (SELECT id FROM repositories WHERE name = $1)
        AND l.blob_id = (SELECT id FROM blobs WHERE digest = $2)"
);

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
            .query_scalar(
                "SELECT NOT EXISTS (
                    SELECT 1 FROM garbage
                    WHERE digest = ANY($1) AND location = '' AND held_until <> 0
                )",
            )
            .bind(digests)
            .fetch_one(context.session.connection())
            .await?;
        Ok(settled)
    }
}

const DISCARD_FILES: &str = concat!(
    "INSERT INTO garbage AS g (digest, size, location, remove_at)
    SELECT DISTINCT f.digest, 0, '', ",
    now!(),
    " FROM unnest($1::bytea[]) AS f (digest)
    WHERE (SELECT count(*) FROM manifests m WHERE m.digest = f.digest) = 0
        AND (SELECT count(*) FROM blobs b WHERE b.digest = f.digest) = 0
    ON CONFLICT (digest, location) DO UPDATE SET gone = 0, remove_at = excluded.remove_at
    WHERE g.gone = 1"
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
        context
            .session
            .query(FORGET)
            .bind(micros(now))
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

/// Removals whose time is over.
const FORGET: &str = "DELETE FROM garbage WHERE remove_at <= $1 AND gone = 1";

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
