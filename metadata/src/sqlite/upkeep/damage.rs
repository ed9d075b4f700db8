use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName};
use sqlx::SqliteConnection;

use crate::encoding::{digest_bytes, page};
use crate::fault::Fault;
use crate::rows::{self, BlobRow, DamagedRow};
use crate::sqlite::cache::Cache;
use crate::sqlite::writer::{Context, Operation};
use crate::{BlobCursor, BlobLocation, BlobRecord, DamagedBlob, NamedBlob, Page};

pub(super) async fn list(
    connection: &mut SqliteConnection,
    after: Option<BlobCursor>,
    limit: u32,
) -> Result<Vec<NamedBlob>, Fault> {
    let rows: Vec<BlobRow> = sqlx::query_as(LIST)
        .bind(after.map_or(i64::MIN, |after| after.0))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(rows::named_blob).collect()
}

pub(in crate::sqlite) const LIST: &str = "
    SELECT id, digest, size, location FROM blobs WHERE id > $1 ORDER BY id LIMIT $2";

pub(super) async fn find(
    connection: &mut SqliteConnection,
    digest: &Digest,
) -> Result<Option<BlobRecord>, Fault> {
    let row: Option<BlobRow> =
        sqlx::query_as("SELECT id, digest, size, location FROM blobs WHERE digest = $1")
            .bind(digest_bytes(digest))
            .fetch_optional(connection)
            .await?;
    row.map(|row| Ok(rows::named_blob(row)?.blob)).transpose()
}

/// See [`DamageStore::quarantine_blob`](crate::DamageStore::quarantine_blob).
pub(super) struct Quarantine {
    pub(super) blob: BlobRecord,
    pub(super) to: BlobLocation,
    pub(super) reason: String,
}

#[async_trait]
impl Operation for Quarantine {
    type Output = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let digest = digest_bytes(&self.blob.digest);
        let moved = sqlx::query(MOVE)
            .bind(digest.as_slice())
            .bind(self.blob.location.0.as_str())
            .bind(self.to.0.as_str())
            .execute(&mut *context.connection)
            .await?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(NOTE)
            .bind(digest)
            .bind(context.now)
            .bind(self.reason.as_str())
            .execute(&mut *context.connection)
            .await?;
        Ok(true)
    }

    fn invalidate(&self, moved: &bool, cache: &Cache) {
        if *moved {
            cache.blob_changed(&self.blob.digest);
        }
    }
}

pub(in crate::sqlite) const MOVE: &str =
    "UPDATE blobs SET location = $3 WHERE digest = $1 AND location = $2";

pub(in crate::sqlite) const NOTE: &str = "
    INSERT INTO damaged_blobs (blob_id, found_at, reason)
    SELECT id, $2, $3 FROM blobs WHERE digest = $1
    ON CONFLICT (blob_id) DO UPDATE SET found_at = excluded.found_at, reason = excluded.reason";

pub(super) async fn damaged(
    connection: &mut SqliteConnection,
    after: Option<&Digest>,
    limit: u32,
) -> Result<Page<DamagedBlob>, Fault> {
    let rows: Vec<DamagedRow> = sqlx::query_as(DAMAGED)
        .bind(after.map(digest_bytes).unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_all(connection)
        .await?;
    page(rows, limit, rows::damaged)
}

pub(in crate::sqlite) const DAMAGED: &str = "
    SELECT b.id, b.digest, b.size, b.location, d.found_at, d.reason
    FROM damaged_blobs d JOIN blobs b ON b.id = d.blob_id
    WHERE b.digest > $1 ORDER BY b.digest LIMIT $2";

pub(super) async fn repositories(
    connection: &mut SqliteConnection,
    digest: &Digest,
    limit: u32,
) -> Result<Vec<RepositoryName>, Fault> {
    let names: Vec<String> = sqlx::query_scalar(REPOSITORIES)
        .bind(digest_bytes(digest))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    names.iter().map(|text| rows::name(text)).collect()
}

pub(in crate::sqlite) const REPOSITORIES: &str = "
    SELECT r.name
    FROM blobs b
    JOIN repository_blobs l ON l.blob_id = b.id
    JOIN repositories r ON r.id = l.repository_id
    WHERE b.digest = $1 LIMIT $2";

pub(super) async fn position(
    connection: &mut SqliteConnection,
) -> Result<Option<BlobCursor>, Fault> {
    let position: Option<String> = sqlx::query_scalar(POSITION).fetch_optional(connection).await?;
    Ok(position.and_then(|text| text.parse().ok()).map(BlobCursor))
}

const POSITION: &str = "SELECT value FROM settings WHERE name = 'scrub_position'";

/// See [`DamageStore::set_scrub_position`](crate::DamageStore::set_scrub_position).
pub(super) struct SetPosition(pub(super) Option<BlobCursor>);

#[async_trait]
impl Operation for SetPosition {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let query = match self.0 {
            None => sqlx::query("DELETE FROM settings WHERE name = 'scrub_position'"),
            Some(BlobCursor(id)) => sqlx::query(
                "INSERT INTO settings (name, value) VALUES ('scrub_position', $1)
                ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(id.to_string()),
        };
        query.execute(&mut *context.connection).await?;
        Ok(())
    }
}
