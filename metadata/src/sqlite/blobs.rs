use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName};
use sqlx::SqliteConnection;

use super::cache::Cache;
use super::links;
use super::writer::{Context, Operation};
use crate::encoding::{digest_bytes, digest_hex, integer, lease_end, micros, size};
use crate::fault::Fault;
use crate::lifecycle::{self, Garbage, Place};
use crate::rows;
use crate::{BlobLocation, BlobRecord, FinishedUpload, LinkedBlob, NewEvent, RecordedUpload};

/// A linked blob as it is kept for later reads.
#[derive(Clone, Debug)]
pub(super) struct CachedBlob {
    pub(super) blob: BlobRecord,
    /// May have been renewed since.
    leased_until: i64,
}

impl From<CachedBlob> for LinkedBlob {
    fn from(CachedBlob { blob, leased_until }: CachedBlob) -> Self {
        let left = leased_until.saturating_sub(micros(SystemTime::now()));
        Self { blob, leased_for: Duration::from_micros(u64::try_from(left).unwrap_or(0)) }
    }
}

pub(super) async fn find(
    connection: &mut SqliteConnection,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<CachedBlob>, Fault> {
    let row: Option<(i64, String, i64)> = sqlx::query_as(FIND)
        .bind(repository.as_str())
        .bind(digest_bytes(digest))
        .fetch_optional(connection)
        .await?;
    let linked = |(size, location, leased_until)| {
        let blob = record(digest, (size, location))?;
        Ok(CachedBlob { blob, leased_until })
    };
    row.map(linked).transpose()
}

pub(super) async fn location_prefixes_without_blob(
    connection: &mut SqliteConnection,
    prefixes: &[String],
) -> Result<Vec<String>, Fault> {
    let rows = sqlx::query_scalar(WITHOUT_BLOB)
        .bind(serde_json::Value::from(prefixes).to_string())
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

/// From the prefix up to what sorts behind all that begin so: a range of the index.
pub(super) const WITHOUT_BLOB: &str = "
    SELECT value FROM json_each($1)
    WHERE NOT EXISTS (
        SELECT 1 FROM blobs
        WHERE location >= value AND location < value || char(1114111) AND location <> ''
    ) AND NOT EXISTS (
        SELECT 1 FROM garbage
        WHERE location >= value AND location < value || char(1114111) AND location <> ''
    )";

pub(super) const FIND: &str = "
    SELECT b.size, b.location, l.leased_until
    FROM repositories r
    JOIN blobs b ON b.digest = $2
    JOIN repository_blobs l ON l.repository_id = r.id AND l.blob_id = b.id
    WHERE r.name = $1";

pub(super) const FIND_ANYWHERE: &str = "
    SELECT b.size, b.location
    FROM blobs b
    WHERE b.digest = $1 AND EXISTS (SELECT 1 FROM repository_blobs l WHERE l.blob_id = b.id)";

fn record(digest: &Digest, row: (i64, String)) -> Result<BlobRecord, Fault> {
    Ok(BlobRecord { digest: *digest, size: size(row.0)?, location: BlobLocation(row.1) })
}

/// See [`MetadataStore::finish_upload`](crate::MetadataStore::finish_upload).
pub(super) struct Finish(pub(super) FinishedUpload);

/// How finishing an upload ended.
pub(super) struct Finished {
    pub(super) recorded: RecordedUpload,
    /// The blob was known before, with another size or location.
    repaired: bool,
}

/// Whether the session stands, whether the blob was known otherwise, and the garbage at its place.
type FinishRow = (bool, bool, Option<i64>, Option<i64>, Option<i64>, Option<i64>);

#[async_trait]
impl Operation for Finish {
    type Output = Finished;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Finished, Fault> {
        let Self(FinishedUpload { id, repository, blob, lease, grace, seen, events }) = self;
        let rows: Vec<FinishRow> = sqlx::query_as(FINISH)
            .bind(repository.as_str())
            .bind(digest_bytes(&blob.digest))
            .bind(context.now)
            .bind(lease_end(context.now, *lease))
            .bind(context.record_links)
            .bind(id.as_ref().map(|id| id.as_bytes().as_slice()))
            .bind(integer(blob.size)?)
            .bind(blob.location.0.as_str())
            .bind(seen.map(integer).transpose()?)
            .bind(lease_end(context.now, *grace))
            .fetch_all(&mut *context.connection)
            .await?;
        let &(stands, repaired, ..) = rows.first().ok_or(Fault::Malformed("blob"))?;
        if !stands {
            return Ok(Finished { recorded: RecordedUpload::SessionGone, repaired: false });
        }
        // What the statements did is what these conditions say too: `undisturbed`.
        match lifecycle::place(garbage_of(&rows)?, *seen) {
            Place::Free | Place::Revived => {
                context.events.extend_from_slice(events);
                Ok(Finished { recorded: RecordedUpload::Linked, repaired })
            }
            Place::Unsure => Ok(Finished { recorded: RecordedUpload::Unsure, repaired: false }),
        }
    }

    fn invalidate(&self, output: &Finished, cache: &Cache) {
        if output.repaired {
            cache.blob_changed(&self.0.blob.digest);
        }
    }
}

fn garbage_of(rows: &[FinishRow]) -> Result<Option<Garbage>, Fault> {
    match rows.first() {
        Some(&(_, _, Some(remove_at), Some(round), Some(held_until), Some(gone))) => {
            rows::garbage((remove_at, round, held_until, gone)).map(Some)
        }
        _ => Ok(None),
    }
}

/// Whether there is no session to look for, or it is still open.
macro_rules! session_stands {
    () => {
        "($6 IS NULL OR EXISTS (SELECT 1 FROM uploads WHERE id = $6 AND repository = $1))"
    };
}

/// Whether [`lifecycle::place`] lets the push be recorded, too.
macro_rules! undisturbed {
    () => {
        concat!(
            session_stands!(),
            " AND NOT EXISTS (
                SELECT 1 FROM garbage
                WHERE digest = $2 AND location = $8 AND round > 0
                    AND (held_until <> 0 OR round IS NOT $9)
            )"
        )
    };
}

/// Links a known blob into the repository on a condition, or renews the lease of the link.
macro_rules! link {
    ($condition:expr) => {
        concat!(
            "INSERT INTO repositories (name) SELECT $1 WHERE ",
            $condition,
            " ON CONFLICT (name) DO NOTHING;
            INSERT INTO outbox (kind, repository, digest)
            SELECT 'link_blob', $1, $2
            WHERE $5 AND NOT EXISTS (
                SELECT 1 FROM repository_blobs
                WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)
                    AND blob_id = (SELECT id FROM blobs WHERE digest = $2)
            ) AND ",
            $condition,
            ";
            INSERT INTO repository_blobs (
                repository_id, blob_id, linked_at, leased_until, review_at
            )
            SELECT r.id, b.id, $3, $4, $4 FROM repositories r, blobs b
            WHERE r.name = $1 AND b.digest = $2 AND ",
            $condition,
            " ON CONFLICT (repository_id, blob_id)
            DO UPDATE SET leased_until = max(leased_until, excluded.leased_until),
                review_at = max(review_at, excluded.review_at);"
        )
    };
}

/// One text for all, because each text is a trip to the connection's thread and back: that, and
/// not the work of SQLite, is what a small push costs.
pub(super) const FINISH: &str = concat!(
    "SELECT ",
    session_stands!(),
    ", EXISTS (SELECT 1 FROM blobs WHERE digest = $2 AND (size <> $7 OR location <> $8)),
        (SELECT remove_at FROM garbage WHERE digest = $2 AND location = $8),
        (SELECT round FROM garbage WHERE digest = $2 AND location = $8),
        (SELECT held_until FROM garbage WHERE digest = $2 AND location = $8),
        (SELECT gone FROM garbage WHERE digest = $2 AND location = $8);
    INSERT INTO garbage (digest, size, location, remove_at)
    SELECT digest, size, location, $10 FROM blobs
    WHERE digest = $2 AND location <> '' AND location <> $8 AND ",
    undisturbed!(),
    ";
    INSERT INTO outbox (kind, repository, digest)
    SELECT 'link_blob', $1, $2
    FROM repositories r
    JOIN blobs b ON b.digest = $2 AND (b.size <> $7 OR b.location <> $8)
    JOIN repository_blobs l ON l.repository_id = r.id AND l.blob_id = b.id
    WHERE $5 AND r.name = $1 AND ",
    undisturbed!(),
    ";
    INSERT INTO blobs (digest, size, location, created_at)
    SELECT $2, $7, $8, $3 WHERE ",
    undisturbed!(),
    " ON CONFLICT (digest) DO UPDATE SET size = excluded.size, location = excluded.location
    WHERE size <> excluded.size OR location <> excluded.location;",
    link!(undisturbed!()),
    "DELETE FROM uploads WHERE id = $6 AND repository = $1 AND ",
    undisturbed!(),
    ";
    DELETE FROM garbage WHERE digest = $2 AND location = $8 AND (
        round = 0 OR (held_until = 0 AND round IS $9)
    ) AND EXISTS (SELECT 1 FROM blobs b WHERE b.digest = $2 AND b.location = $8)"
);

/// A mount has no session.
pub(super) const LINK: &str = link!("$6 IS NULL");

/// See [`MetadataStore::mount_blob`](crate::MetadataStore::mount_blob).
pub(super) struct Mount {
    pub(super) target: RepositoryName,
    /// `None` for any.
    pub(super) source: Option<RepositoryName>,
    pub(super) digest: Digest,
    pub(super) lease: Duration,
    pub(super) events: Vec<NewEvent>,
}

#[async_trait]
impl Operation for Mount {
    type Output = Option<BlobRecord>;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Option<BlobRecord>, Fault> {
        let blob = match &self.source {
            Some(source) => {
                find(context.connection, source, &self.digest).await?.map(|linked| linked.blob)
            }
            None => find_anywhere(context.connection, &self.digest).await?,
        };
        if let Some(blob) = &blob {
            context.events.extend(self.events.iter().map(|event| event.of_size(blob.size)));
            sqlx::query(LINK)
                .bind(self.target.as_str())
                .bind(digest_bytes(&self.digest))
                .bind(context.now)
                .bind(lease_end(context.now, self.lease))
                .bind(context.record_links)
                .bind(None::<&[u8]>)
                .execute(&mut *context.connection)
                .await?;
        }
        Ok(blob)
    }
}

async fn find_anywhere(
    connection: &mut SqliteConnection,
    digest: &Digest,
) -> Result<Option<BlobRecord>, Fault> {
    let row =
        sqlx::query_as(FIND_ANYWHERE).bind(digest_bytes(digest)).fetch_optional(connection).await?;
    row.map(|row| record(digest, row)).transpose()
}

/// See [`MetadataStore::unlink_blob`](crate::MetadataStore::unlink_blob).
pub(super) struct Unlink {
    pub(super) repository: RepositoryName,
    pub(super) digest: Digest,
    pub(super) grace: Duration,
    pub(super) events: Vec<NewEvent>,
}

#[async_trait]
impl Operation for Unlink {
    type Output = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let digest = digest_bytes(&self.digest);
        let deleted = sqlx::query(UNLINK)
            .bind(self.repository.as_str())
            .bind(digest.as_slice())
            .execute(&mut *context.connection)
            .await?;
        let unlinked = deleted.rows_affected() > 0;
        if unlinked {
            links::release(context, &[digest_hex(&self.digest)], self.grace).await?;
            context.events.extend_from_slice(&self.events);
        }
        if unlinked && context.record_links {
            sqlx::query(
                "INSERT INTO outbox (kind, repository, digest) VALUES ('unlink_blob', $1, $2)",
            )
            .bind(self.repository.as_str())
            .bind(digest)
            .execute(&mut *context.connection)
            .await?;
        }
        Ok(unlinked)
    }

    fn invalidate(&self, unlinked: &bool, cache: &Cache) {
        if *unlinked {
            cache.blob_changed(&self.digest);
        }
    }
}

pub(super) const UNLINK: &str = "
    DELETE FROM repository_blobs
    WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)
        AND blob_id = (SELECT id FROM blobs WHERE digest = $2)";
