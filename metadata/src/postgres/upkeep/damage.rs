use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName};

use crate::encoding::{digest_bytes, page};
use crate::fault::Fault;
use crate::postgres::engine::{Context, Operation};
use crate::postgres::now;
use crate::postgres::session::Session;
use crate::rows::{self, BlobRow, DamagedRow};
use crate::{BlobCursor, BlobLocation, BlobRecord, DamagedBlob, NamedBlob, Page};

pub(super) async fn list(
    session: &mut Session,
    after: Option<BlobCursor>,
    limit: u32,
) -> Result<Vec<NamedBlob>, Fault> {
    let rows: Vec<BlobRow> = session
        .query_as(LIST)
        .bind(after.map_or(i64::MIN, |after| after.0))
        .bind(i64::from(limit))
        .fetch_all(session.connection())
        .await?;
    rows.into_iter().map(rows::named_blob).collect()
}

pub(in crate::postgres) const LIST: &str = "
    SELECT id, digest, size, location FROM blobs WHERE id > $1 ORDER BY id LIMIT $2";

pub(super) async fn find(
    session: &mut Session,
    digest: &Digest,
) -> Result<Option<BlobRecord>, Fault> {
    let row: Option<BlobRow> = session
        .query_as("SELECT id, digest, size, location FROM blobs WHERE digest = $1")
        .bind(digest_bytes(digest))
        .fetch_optional(session.connection())
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
        let moved: Option<i64> = context
            .session
            .query_scalar(MOVE)
            .bind(digest_bytes(&self.blob.digest))
            .bind(self.blob.location.0.as_str())
            .bind(self.to.0.as_str())
            .fetch_optional(context.session.connection())
            .await?;
        let Some(id) = moved else { return Ok(false) };
        context
            .session
            .query(NOTE)
            .bind(id)
            .bind(self.reason.as_str())
            .execute(context.session.connection())
            .await?;
        Ok(true)
    }
}

pub(in crate::postgres) const MOVE: &str = "
    UPDATE blobs SET location = $3 WHERE digest = $1 AND location = $2 RETURNING id";

const NOTE: &str = concat!(
    "INSERT INTO damaged_blobs (blob_id, found_at, reason) VALUES ($1, ",
    now!(),
    ", $2)
    ON CONFLICT (blob_id) DO UPDATE SET found_at = excluded.found_at, reason = excluded.reason"
);

pub(super) async fn damaged(
    session: &mut Session,
    after: Option<&Digest>,
    limit: u32,
) -> Result<Page<DamagedBlob>, Fault> {
    let rows: Vec<DamagedRow> = session
        .query_as(DAMAGED)
        .bind(after.map(digest_bytes).unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_all(session.connection())
        .await?;
    page(rows, limit, rows::damaged)
}

pub(in crate::postgres) const DAMAGED: &str = "
    SELECT b.id, b.digest, b.size, b.location, d.found_at, d.reason
    FROM damaged_blobs d JOIN blobs b ON b.id = d.blob_id
    WHERE b.digest > $1 ORDER BY b.digest LIMIT $2";

pub(super) async fn repositories(
    session: &mut Session,
    digest: &Digest,
    limit: u32,
) -> Result<Vec<RepositoryName>, Fault> {
    let names: Vec<String> = session
        .query_scalar(REPOSITORIES)
        .bind(digest_bytes(digest))
        .bind(i64::from(limit))
        .fetch_all(session.connection())
        .await?;
    names.iter().map(|text| rows::name(text)).collect()
}

pub(in crate::postgres) const REPOSITORIES: &str = "
    SELECT r.name
    FROM blobs b
    JOIN repository_blobs l ON l.blob_id = b.id
    JOIN repositories r ON r.id = l.repository_id
    WHERE b.digest = $1 LIMIT $2";

pub(super) async fn position(session: &mut Session) -> Result<Option<BlobCursor>, Fault> {
    let position: Option<String> = session
        .query_scalar("SELECT value FROM settings WHERE name = 'scrub_position'")
        .fetch_optional(session.connection())
        .await?;
    Ok(position.and_then(|text| text.parse().ok()).map(BlobCursor))
}

/// See [`DamageStore::set_scrub_position`](crate::DamageStore::set_scrub_position).
pub(super) struct SetPosition(pub(super) Option<BlobCursor>);

#[async_trait]
impl Operation for SetPosition {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let query = match self.0 {
            None => context.session.query("DELETE FROM settings WHERE name = 'scrub_position'"),
            Some(BlobCursor(id)) => context
                .session
                .query(
                    "INSERT INTO settings (name, value) VALUES ('scrub_position', $1)
                    ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                )
                .bind(id.to_string()),
        };
        query.execute(context.session.connection()).await?;
        Ok(())
    }
}
