//! What mirrors have fetched, by when it was last wanted, and its going when it is too much.

use std::time::Duration;

use async_trait::async_trait;

use super::engine::{Context, Operation};
use super::now;
use super::removal::{self, Doomed, Terms};
use super::session::Session;
use crate::encoding::{digest, digest_bytes, duration};
use crate::fault::Fault;
use crate::{NewManifest, rows};

/// Notes that a manifest came for a mirror just now. One that was here is noted only if it came so, too.
pub(super) async fn note_fetched(
    session: &mut Session,
    manifest: i64,
    prefix: &str,
    is_new: bool,
) -> Result<(), Fault> {
    let query = session.query(if is_new { NOTE } else { NOTE_AGAIN });
    query.bind(manifest).bind(prefix).execute(session.connection()).await?;
    Ok(())
}

const NOTE: &str = concat!(
    "INSERT INTO cached_manifests (manifest_id, prefix, pulled_at) VALUES ($1, $2, ",
    now!(),
    ")"
);

pub(super) const NOTE_AGAIN: &str = concat!(
    "UPDATE cached_manifests SET prefix = $2, pulled_at = ",
    now!(),
    " WHERE manifest_id = $1"
);

/// Notes that a manifest that was found came for a mirror, some time or other.
pub(super) async fn note_adopted(
    session: &mut Session,
    manifest: &NewManifest,
    prefix: &str,
) -> Result<(), Fault> {
    session
        .query(NOTE_ADOPTED)
        .bind(manifest.repository.as_str())
        .bind(digest_bytes(&manifest.digest))
        .bind(prefix)
        .execute(session.connection())
        .await?;
    Ok(())
}

const NOTE_ADOPTED: &str = concat!(
    "INSERT INTO cached_manifests (manifest_id, prefix, pulled_at)
    SELECT m.id, $3, ",
    now!(),
    " FROM repositories r JOIN manifests m ON m.repository_id = r.id AND m.digest = $2
    WHERE r.name = $1
    ON CONFLICT (manifest_id) DO NOTHING"
);

/// Notes that a manifest was pushed: it stays.
pub(super) async fn note_pushed(session: &mut Session, manifest: i64) -> Result<(), Fault> {
    session.query(FORGET).bind(manifest).execute(session.connection()).await?;
    Ok(())
}

pub(super) const FORGET: &str = "DELETE FROM cached_manifests WHERE manifest_id = $1";

/// See [`MetadataStore::evict_manifests`](crate::MetadataStore::evict_manifests).
pub(super) struct Evict {
    pub(super) prefix: String,
    pub(super) idle: Duration,
    pub(super) limit: u32,
}

#[async_trait]
impl Operation for Evict {
    type Output = u64;

    async fn apply(&self, context: &mut Context<'_>) -> Result<u64, Fault> {
        let rows: Vec<(i64, i64, String, Vec<u8>)> = context
            .session
            .query_as(IDLE)
            .bind(self.prefix.as_str())
            .bind(duration(self.idle))
            .bind(i64::from(self.limit))
            .fetch_all(context.session.connection())
            .await?;
        let doomed = rows.into_iter().map(|(id, repository_id, name, bytes)| {
            let (repository, digest) = (rows::name(&name)?, digest(&bytes)?);
            Ok(Doomed { id, repository_id, repository, digest, deletion: 0 })
        });
        let doomed: Vec<Doomed> = doomed.collect::<Result<_, Fault>>()?;
        let terms = Terms {
            grace: Duration::ZERO,
            until: 0,
            recorded: false,
            followed: false,
            events: &[],
        };
        removal::remove(context, &doomed, &terms).await?;
        Ok(doomed.len() as u64)
    }
}

/// Those that somebody is tagging at the moment are passed over.
pub(super) const IDLE: &str = concat!(
    "SELECT m.id, m.repository_id, r.name, m.digest
    FROM cached_manifests c
    JOIN manifests m ON m.id = c.manifest_id
    JOIN repositories r ON r.id = m.repository_id
    WHERE c.prefix = $1 AND c.pulled_at <= ",
    now!(),
    " - $2
    ORDER BY c.pulled_at
    LIMIT $3
    FOR UPDATE OF m SKIP LOCKED"
);
