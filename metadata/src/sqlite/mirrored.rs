use std::time::Duration;

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName, Tag};
use sqlx::SqliteConnection;

use super::writer::{Context, Operation};
use crate::encoding::{self, digest_bytes, micros};
use crate::fault::Fault;
use crate::{FoundTag, MirroredTag, NewManifest};

pub(super) async fn find(
    connection: &mut SqliteConnection,
    repository: &RepositoryName,
    tag: &Tag,
) -> Result<Option<MirroredTag>, Fault> {
    let row: Option<(Vec<u8>, i64, String)> = sqlx::query_as(FIND)
        .bind(repository.as_str())
        .bind(tag.as_str())
        .fetch_optional(connection)
        .await?;
    let Some((digest, checked_at, upstream)) = row else { return Ok(None) };
    let age = micros(std::time::SystemTime::now()).saturating_sub(checked_at);
    let age = Duration::from_micros(u64::try_from(age).unwrap_or(0));
    Ok(Some(MirroredTag { digest: encoding::digest(&digest)?, age, upstream }))
}

pub(super) const FIND: &str = "
    SELECT t.digest, t.checked_at, t.upstream
    FROM repositories r
    JOIN mirrored_tags t ON t.repository_id = r.id AND t.name = $2
    WHERE r.name = $1";

pub(super) async fn knows_blob(
    connection: &mut SqliteConnection,
    digest: &Digest,
) -> Result<bool, Fault> {
    let known: Option<i64> = sqlx::query_scalar(KNOWS_BLOB)
        .bind(digest_bytes(digest))
        .fetch_optional(connection)
        .await?;
    Ok(known.is_some())
}

pub(super) const KNOWS_BLOB: &str = "SELECT 1 FROM blobs WHERE digest = $1";

/// Notes that the tags of a manifest came from an upstream.
pub(super) async fn note(
    context: &mut Context<'_>,
    manifest: &NewManifest,
    upstream: &str,
) -> Result<(), Fault> {
    for tag in &manifest.tags {
        sqlx::query(NOTE)
            .bind(manifest.repository.as_str())
            .bind(tag.as_str())
            .bind(digest_bytes(&manifest.digest))
            .bind(context.now)
            .bind(upstream)
            .execute(&mut *context.connection)
            .await?;
    }
    Ok(())
}

/// Notes that a tag that was found came from an upstream, and was not looked at there since.
pub(super) async fn note_unchecked(
    context: &mut Context<'_>,
    found: &FoundTag,
    upstream: &str,
) -> Result<(), Fault> {
    sqlx::query(NOTE)
        .bind(found.repository.as_str())
        .bind(found.tag.as_str())
        .bind(digest_bytes(&found.digest))
        .bind(0_i64)
        .bind(upstream)
        .execute(&mut *context.connection)
        .await?;
    Ok(())
}

const NOTE: &str = "
    INSERT INTO mirrored_tags (repository_id, name, digest, checked_at, upstream)
    SELECT r.id, $2, $3, $4, $5 FROM repositories r WHERE r.name = $1
    ON CONFLICT (repository_id, name) DO UPDATE SET
        digest = excluded.digest, checked_at = excluded.checked_at, upstream = excluded.upstream";

/// See [`MetadataStore::mirrored_tag_checked`](crate::MetadataStore::mirrored_tag_checked).
pub(super) struct Checked {
    pub(super) repository: RepositoryName,
    pub(super) tag: Tag,
    pub(super) digest: Digest,
}

#[async_trait]
impl Operation for Checked {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        sqlx::query(CHECKED)
            .bind(self.repository.as_str())
            .bind(self.tag.as_str())
            .bind(digest_bytes(&self.digest))
            .bind(context.now)
            .execute(&mut *context.connection)
            .await?;
        Ok(())
    }
}

pub(super) const CHECKED: &str = "
    UPDATE mirrored_tags SET checked_at = $4
    WHERE repository_id = (SELECT id FROM repositories WHERE name = $1) AND name = $2
        AND digest = $3";
