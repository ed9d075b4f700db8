//! What mirrors have fetched, by when it was last wanted, and its going when it is too much.

use std::time::Duration;

use async_trait::async_trait;

use super::cache::Cache;
use super::removal::{self, Doomed, Stale, Terms};
use super::writer::{Context, Operation};
use crate::encoding::{digest, digest_bytes, duration};
use crate::fault::Fault;
use crate::{NewManifest, rows};

/// Whether the repository has the manifest.
pub(super) async fn is_here(
    context: &mut Context<'_>,
    manifest: &NewManifest,
) -> Result<bool, Fault> {
    let found: Option<i64> = sqlx::query_scalar(IS_HERE)
        .bind(manifest.repository.as_str())
        .bind(digest_bytes(&manifest.digest))
        .fetch_optional(&mut *context.connection)
        .await?;
    Ok(found.is_some())
}

pub(super) const IS_HERE: &str = "
    SELECT 1 FROM manifests
    WHERE repository_id = (SELECT id FROM repositories WHERE name = $1) AND digest = $2";

/// Notes that a manifest came for a mirror just now. One that was here is noted only if it came so, too.
pub(super) async fn note_fetched(
    context: &mut Context<'_>,
    manifest: i64,
    prefix: &str,
    is_new: bool,
) -> Result<(), Fault> {
    sqlx::query(if is_new { NOTE } else { NOTE_AGAIN })
        .bind(manifest)
        .bind(prefix)
        .bind(context.now)
        .execute(&mut *context.connection)
        .await?;
    Ok(())
}

const NOTE: &str = "
    INSERT INTO cached_manifests (manifest_id, prefix, pulled_at) VALUES ($1, $2, $3)";

pub(super) const NOTE_AGAIN: &str =
    "UPDATE cached_manifests SET prefix = $2, pulled_at = $3 WHERE manifest_id = $1";

/// Notes that a manifest that was found came for a mirror, some time or other.
pub(super) async fn note_adopted(
    context: &mut Context<'_>,
    manifest: &NewManifest,
    prefix: &str,
) -> Result<(), Fault> {
    sqlx::query(NOTE_ADOPTED)
        .bind(manifest.repository.as_str())
        .bind(digest_bytes(&manifest.digest))
        .bind(prefix)
        .bind(context.now)
        .execute(&mut *context.connection)
        .await?;
    Ok(())
}

const NOTE_ADOPTED: &str = "
    INSERT INTO cached_manifests (manifest_id, prefix, pulled_at)
    SELECT m.id, $3, $4
    FROM repositories r JOIN manifests m ON m.repository_id = r.id AND m.digest = $2
    WHERE r.name = $1
    ON CONFLICT (manifest_id) DO NOTHING";

/// Notes that a manifest was pushed: it stays.
pub(super) async fn note_pushed(context: &mut Context<'_>, manifest: i64) -> Result<(), Fault> {
    sqlx::query(FORGET).bind(manifest).execute(&mut *context.connection).await?;
    Ok(())
}

pub(super) const FORGET: &str = "DELETE FROM cached_manifests WHERE manifest_id = $1";

/// See [`MetadataStore::evict_manifests`](crate::MetadataStore::evict_manifests).
pub(super) struct Evict {
    pub(super) prefix: String,
    pub(super) idle: Duration,
    pub(super) limit: u32,
}

/// What has gone.
pub(super) struct Evicted {
    pub(super) count: u64,
    stale: Stale,
}

#[async_trait]
impl Operation for Evict {
    type Output = Evicted;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Evicted, Fault> {
        let rows: Vec<(i64, i64, String, Vec<u8>)> = sqlx::query_as(IDLE)
            .bind(self.prefix.as_str())
            .bind(context.now.saturating_sub(duration(self.idle)))
            .bind(i64::from(self.limit))
            .fetch_all(&mut *context.connection)
            .await?;
        let doomed = rows.into_iter().map(|(id, repository_id, name, bytes)| {
            let (repository, digest) = (rows::name(&name)?, digest(&bytes)?);
            Ok(Doomed { id, repository_id, repository, digest, deletion: 0 })
        });
        let doomed: Vec<Doomed> = doomed.collect::<Result<_, Fault>>()?;
        let terms =
            Terms { grace: Duration::ZERO, until: context.now, followed: false, events: &[] };
        let mut stale = Stale::default();
        removal::remove(context, &doomed, &terms, &mut stale).await?;
        Ok(Evicted { count: doomed.len() as u64, stale })
    }

    fn invalidate(&self, evicted: &Evicted, cache: &Cache) {
        evicted.stale.invalidate(cache);
    }
}

pub(super) const IDLE: &str = "
    SELECT m.id, m.repository_id, r.name, m.digest
    FROM cached_manifests c
    CROSS JOIN manifests m ON m.id = c.manifest_id
    CROSS JOIN repositories r ON r.id = m.repository_id
    WHERE c.prefix = $1 AND c.pulled_at <= $2
    ORDER BY c.pulled_at
    LIMIT $3";
