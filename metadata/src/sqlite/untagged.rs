use std::time::Duration;

use async_trait::async_trait;
use berth_oci::Reference;

use super::cache::Cache;
use super::manifests;
use super::writer::{Context, Operation};
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

pub(super) struct Deleted {
    pub(super) page: UntaggedManifests,
    is_dry_run: bool,
}

#[async_trait]
impl Operation for DeleteUntagged {
    type Output = Deleted;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Deleted, Fault> {
        let found: Vec<(i64, String, Vec<u8>, bool)> = sqlx::query_as(LOOK)
            .bind(self.after)
            .bind(i64::from(self.limit))
            .bind(context.now.saturating_sub(duration(self.age)))
            .fetch_all(&mut *context.connection)
            .await?;
        let full = found.len() == usize::try_from(self.limit).unwrap_or(usize::MAX);
        let last = found.last().map(|(id, ..)| ManifestCursor(*id));
        let mut manifests = Vec::new();
        for (_, name, digest, untagged) in found {
            if !untagged {
                continue;
            }
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
        let page = UntaggedManifests { manifests, next: last.filter(|_| full) };
        Ok(Deleted { page, is_dry_run: self.dry_run })
    }

    fn invalidate(&self, deleted: &Deleted, cache: &Cache) {
        if deleted.is_dry_run {
            return;
        }
        for (repository, digest) in &deleted.page.manifests {
            cache.manifest_changed(repository, &Reference::Digest(*digest));
        }
    }
}

pub(super) const LOOK: &str = concat!(
    "SELECT m.id, r.name, m.digest, m.created_at <= $3 AND ",
    stands_alone!(),
    " FROM manifests m
    CROSS JOIN repositories r ON r.id = m.repository_id
    WHERE m.id > $1
    ORDER BY m.id
    LIMIT $2"
);
