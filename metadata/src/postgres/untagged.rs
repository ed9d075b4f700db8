use std::time::Duration;

use async_trait::async_trait;

use super::engine::{Context, Operation};
use super::{manifests, now};
use crate::encoding::{self, duration};
use crate::expiry::stands_alone;
use crate::fault::Fault;
use crate::rows;
use crate::{ManifestCursor, ProtectedTags, UntaggedManifests};

/// See [`MetadataStore::untagged_manifests`](crate::MetadataStore::untagged_manifests).
pub(super) struct DeleteUntagged {
    pub(super) after: i64,
    pub(super) age: Duration,
    pub(super) dry_run: bool,
    pub(super) limit: u32,
}

#[async_trait]
impl Operation for DeleteUntagged {
    type Output = UntaggedManifests;

    async fn apply(&self, context: &mut Context<'_>) -> Result<UntaggedManifests, Fault> {
        // What somebody is tagging, or naming in an index, at the moment is passed over.
        let ids: Vec<i64> = context
            .session
            .query_scalar(if self.dry_run { PAGE } else { LOCK_PAGE })
            .bind(self.after)
            .bind(i64::from(self.limit))
            .fetch_all(context.session.connection())
            .await?;
        let full = ids.len() == usize::try_from(self.limit).unwrap_or(usize::MAX);
        let last = ids.last().copied().map(ManifestCursor);
        let found: Vec<(String, Vec<u8>)> = context
            .session
            .query_as(LOOK)
            .bind(ids)
            .bind(duration(self.age))
            .fetch_all(context.session.connection())
            .await?;
        let mut manifests = Vec::new();
        for (name, digest) in found {
            let (repository, digest) = (rows::name(&name)?, encoding::digest(&digest)?);
            if !self.dry_run {
                let keep = Duration::ZERO;
                let (repository, events) = (repository.clone(), Vec::new());
                let protected = ProtectedTags::default();
                let delete = manifests::Delete { repository, digest, keep, events, protected };
                delete.apply(context).await?;
            }
            manifests.push((repository, digest));
        }
        Ok(UntaggedManifests { manifests, next: last.filter(|_| full) })
    }
}

const PAGE: &str = "SELECT id FROM manifests WHERE id > $1 ORDER BY id LIMIT $2";

const LOCK_PAGE: &str =
    "SELECT id FROM manifests WHERE id > $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED";

/// Looked for when nobody can change it any longer: whoever tags a manifest, or names it in an index,
/// has to lock its row, too.
pub(super) const LOOK: &str = concat!(
    "SELECT r.name, m.digest
    FROM manifests m
    JOIN repositories r ON r.id = m.repository_id
    WHERE m.id = ANY($1) AND m.created_at <= ",
    now!(),
    " - $2 AND ",
    stands_alone!(),
    " ORDER BY m.id"
);
