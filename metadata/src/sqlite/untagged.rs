use std::time::Duration;

use async_trait::async_trait;
use berth_oci::Tag;

use super::cache::Cache;
use super::manifests;
use super::writer::{Context, Operation};
use crate::encoding::{self, duration};
use crate::fault::Fault;
use crate::rows;
use crate::{ManifestCursor, UntaggedManifests};

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
                let delete = manifests::Delete { repository, digest, keep, events };
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
            let none: Option<Vec<Tag>> = Some(Vec::new());
            let delete = manifests::Delete {
                repository: repository.clone(),
                digest: *digest,
                keep: Duration::ZERO,
                events: Vec::new(),
            };
            delete.invalidate(&none, cache);
        }
    }
}

pub(super) const LOOK: &str = "
    SELECT m.id, r.name, m.digest,
        m.created_at <= $3
        AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)
        AND NOT EXISTS (
            SELECT 1 FROM manifest_manifests p JOIN manifests i ON i.id = p.manifest_id
            WHERE p.digest = m.digest AND i.repository_id = m.repository_id
        )
        AND NOT EXISTS (
            SELECT 1 FROM manifests s
            WHERE s.repository_id = m.repository_id AND s.digest = m.subject
        )
    FROM manifests m
    CROSS JOIN repositories r ON r.id = m.repository_id
    WHERE m.id > $1
    ORDER BY m.id
    LIMIT $2";
