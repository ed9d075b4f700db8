use std::time::SystemTime;

use async_trait::async_trait;
use berth_oci::{RepositoryName, UploadId};
use sqlx::SqliteConnection;

use super::writer::{Context, Operation};
use crate::encoding::{algorithm_code, integer, micros};
use crate::fault::Fault;
use crate::rows::{UploadRow, upload};
use crate::{NewUpload, Upload, UploadProgress};

pub(super) async fn find(
    connection: &mut SqliteConnection,
    repository: &RepositoryName,
    id: UploadId,
) -> Result<Option<Upload>, Fault> {
    let row = sqlx::query_as(FIND)
        .bind(id.as_bytes().as_slice())
        .bind(repository.as_str())
        .fetch_optional(connection)
        .await?;
    row.map(upload).transpose()
}

pub(super) const FIND: &str = "
    SELECT id, repository, algorithm, received, hash_state, handle, started_at, updated_at
    FROM uploads
    WHERE id = $1 AND repository = $2";

pub(super) async fn exists(connection: &mut SqliteConnection, id: UploadId) -> Result<bool, Fault> {
    let row: Option<(i64,)> =
        sqlx::query_as(EXISTS).bind(id.as_bytes().as_slice()).fetch_optional(connection).await?;
    Ok(row.is_some())
}

pub(super) const EXISTS: &str = "SELECT 1 FROM uploads WHERE id = $1";

pub(super) async fn stale(
    connection: &mut SqliteConnection,
    before: SystemTime,
    limit: u32,
) -> Result<Vec<Upload>, Fault> {
    let rows: Vec<UploadRow> = sqlx::query_as(STALE)
        .bind(micros(before))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(upload).collect()
}

pub(super) const STALE: &str = "
    SELECT id, repository, algorithm, received, hash_state, handle, started_at, updated_at
    FROM uploads
    WHERE updated_at < $1
    ORDER BY updated_at, id
    LIMIT $2";

/// See [`MetadataStore::take_stale_uploads`](crate::MetadataStore::take_stale_uploads).
pub(super) struct TakeStale {
    pub(super) before: SystemTime,
    pub(super) limit: u32,
}

#[async_trait]
impl Operation for TakeStale {
    type Output = Vec<Upload>;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Vec<Upload>, Fault> {
        let taken = stale(context.connection, self.before, self.limit).await?;
        for upload in &taken {
            sqlx::query("DELETE FROM uploads WHERE id = $1")
                .bind(upload.id.as_bytes().as_slice())
                .execute(&mut *context.connection)
                .await?;
        }
        Ok(taken)
    }
}

/// See [`MetadataStore::create_upload`](crate::MetadataStore::create_upload).
pub(super) struct Create(pub(super) NewUpload);

#[async_trait]
impl Operation for Create {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let Self(upload) = self;
        sqlx::query(
            "INSERT INTO uploads (
                id, repository, algorithm, received, hash_state, handle, started_at, updated_at
            ) VALUES ($1, $2, $3, 0, $4, $5, $6, $6)",
        )
        .bind(upload.id.as_bytes().as_slice())
        .bind(upload.repository.as_str())
        .bind(i64::from(algorithm_code(upload.algorithm)))
        .bind(upload.hash_state.as_slice())
        .bind(upload.handle.as_str())
        .bind(context.now)
        .execute(&mut *context.connection)
        .await?;
        Ok(())
    }
}

/// See [`MetadataStore::advance_upload`](crate::MetadataStore::advance_upload).
pub(super) struct Advance(pub(super) UploadProgress);

#[async_trait]
impl Operation for Advance {
    type Output = bool;
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let Self(progress) = self;
        let moved = sqlx::query(ADVANCE)
            .bind(progress.id.as_bytes().as_slice())
            .bind(integer(progress.from_offset)?)
            .bind(integer(progress.offset)?)
            .bind(progress.hash_state.as_slice())
            .bind(progress.handle.as_str())
            .bind(context.now)
            .execute(&mut *context.connection)
            .await?;
        Ok(moved.rows_affected() > 0)
    }
}

pub(super) const ADVANCE: &str = "
    UPDATE uploads
    SET received = $3, hash_state = $4, handle = $5, updated_at = $6
    WHERE id = $1 AND received = $2";

/// See [`MetadataStore::delete_upload`](crate::MetadataStore::delete_upload).
pub(super) struct Delete {
    pub(super) repository: RepositoryName,
    pub(super) id: UploadId,
}

#[async_trait]
impl Operation for Delete {
    type Output = bool;
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let deleted = sqlx::query(DELETE)
            .bind(self.id.as_bytes().as_slice())
            .bind(self.repository.as_str())
            .execute(&mut *context.connection)
            .await?;
        Ok(deleted.rows_affected() > 0)
    }
}

pub(super) const DELETE: &str = "DELETE FROM uploads WHERE id = $1 AND repository = $2";
