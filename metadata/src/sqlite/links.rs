//! Links from repositories to blobs: their leases, their reviews, and the blobs that lose the last one.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName};
use sqlx::SqliteConnection;

use super::cache::Cache;
use super::writer::{Context, Operation};
use crate::encoding::{self, digest_bytes, from_json, json, lease_end, micros, time};
use crate::fault::Fault;
use crate::lifecycle::{self, Link, Verdict};
use crate::rows::{LinkColumns, LinkRow};
use crate::{DueLink, LinkCursor, ReviewedLinks};

/// Links behind a place in the order of their reviews, whose time has come.
pub(super) async fn due_links(
    connection: &mut SqliteConnection,
    after: Option<LinkCursor>,
    limit: u32,
) -> Result<Vec<DueLink>, Fault> {
    let now = SystemTime::now();
    let after = after.unwrap_or(LinkCursor { review_at: i64::MIN, repository: 0, blob: 0 });
    let rows: Vec<LinkColumns> = sqlx::query_as(DUE)
        .bind(micros(now))
        .bind(i64::from(limit))
        .bind(after.review_at)
        .bind(after.repository)
        .bind(after.blob)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(|row| LinkRow::from(row).due(now)).collect()
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

/// A link to judge: repository, blob, the end of its lease, 1 where a manifest needs it, and else the
/// blob's digest as hexadecimal text.
type Judged = (i64, i64, i64, u8, Option<String>);

#[async_trait]
impl Operation for Review {
    type Output = Reviewed;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Reviewed, Fault> {
        let now = time(context.now)?;
        let due: String = sqlx::query_scalar(JUDGE)
            .bind(context.now)
            .bind(i64::from(self.limit))
            .fetch_one(&mut *context.connection)
            .await?;
        let due: Vec<Judged> = from_json(&due)?;
        let (mut kept, mut gone, mut digests) = (Vec::new(), Vec::new(), Vec::new());
        for (repository, blob, leased_until, pinned, digest) in due {
            let link = Link { pinned: pinned == 1, leased_until: time(leased_until)? };
            match lifecycle::review(link, now) {
                Verdict::Keep(until) => kept.push((repository, blob, micros(until))),
                Verdict::Unlink => {
                    gone.push((repository, blob));
                    digests.push(digest.ok_or(Fault::Malformed("digest"))?);
                }
            }
        }
        sqlx::query(REVIEWED)
            .bind(json(&kept)?)
            .bind(json(&gone)?)
            .bind(context.record_links)
            .execute(&mut *context.connection)
            .await?;
        let (released, released_bytes) = release(context, &digests, self.grace).await?;
        let links = ReviewedLinks {
            kept: kept.len() as u64,
            unlinked: gone.len() as u64,
            released,
            released_bytes,
        };
        let unlinked =
            digests.iter().map(|hex| encoding::digest_of_hex(hex)).collect::<Result<_, _>>()?;
        Ok(Reviewed { links, unlinked })
    }

    fn invalidate(&self, reviewed: &Reviewed, cache: &Cache) {
        for digest in &reviewed.unlinked {
            cache.blob_changed(digest);
        }
    }
}

pub(super) const JUDGE: &str = "
    SELECT json_group_array(json_array(
        repository_id, blob_id, leased_until, pinned, iif(pinned, NULL, lower(hex(digest)))
    ))
    FROM (
        SELECT l.repository_id, l.blob_id, b.digest, l.leased_until,
            EXISTS (
                SELECT 1 FROM manifest_blobs p
                WHERE p.digest = b.digest AND p.repository_id = l.repository_id
            ) AS pinned
        FROM repository_blobs l CROSS JOIN blobs b ON b.id = l.blob_id
        WHERE l.review_at <= $1
        ORDER BY l.review_at
        LIMIT $2
    ) AS due";

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

/// Makes garbage of those of some blobs, digests as hexadecimal text, that no repository links any
/// longer. Answers how many, and their bytes.
pub(super) async fn release(
    context: &mut Context<'_>,
    digests: &[String],
    grace: Duration,
) -> Result<(u64, u64), Fault> {
    if digests.is_empty() {
        return Ok((0, 0));
    }
    let sizes: Vec<i64> = sqlx::query_scalar(RELEASE)
        .bind(json(&digests)?)
        .bind(lease_end(context.now, grace))
        .fetch_all(&mut *context.connection)
        .await?;
    let bytes = sizes.iter().filter_map(|size| u64::try_from(*size).ok()).sum();
    Ok((sizes.len() as u64, bytes))
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
