//! Links from repositories to blobs: their leases, their reviews, and the blobs that lose the last one.

use std::time::Duration;

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName};

use super::collection::present;
use super::engine::{Context, Operation};
use super::session::Session;
use super::{now, outbox};
use crate::encoding::{digest_bytes, duration, micros};
use crate::fault::Fault;
use crate::lifecycle::Verdict;
use crate::rows::{LinkColumns, LinkRow};
use crate::{DueLink, LinkCursor, ReviewedLinks};

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
