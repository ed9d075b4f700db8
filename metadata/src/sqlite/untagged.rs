use async_trait::async_trait;

use super::cache::Cache;
use super::deletion::{self, naming_index};
use super::removal::{self, Doomed, Stale, Terms};
use super::writer::{Context, Operation};
use crate::encoding::{self, duration};
use crate::fault::Fault;
use crate::rows;
use crate::{Keep, ManifestCursor, NewEvent, UntaggedManifests, UntaggedSearch};

/// See [`MetadataStore::untagged_manifests`](crate::MetadataStore::untagged_manifests) and
/// [`MetadataStore::delete_untagged`](crate::MetadataStore::delete_untagged).
pub(super) struct Untagged {
    pub(super) search: UntaggedSearch,
    /// How to delete them; `None` only looks.
    pub(super) delete: Option<(Keep, Vec<NewEvent>)>,
}

pub(super) struct Found {
    pub(super) page: UntaggedManifests,
    stale: Stale,
}

#[async_trait]
impl Operation for Untagged {
    type Output = Found;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Found, Fault> {
        let UntaggedSearch { after, age, limit } = self.search;
        let found: Vec<(i64, i64, String, Vec<u8>, bool)> = sqlx::query_as(LOOK)
            .bind(after.map_or(0, |ManifestCursor(id)| id))
            .bind(i64::from(limit))
            .bind(context.now.saturating_sub(duration(age)))
            .fetch_all(&mut *context.connection)
            .await?;
        let full = found.len() == usize::try_from(limit).unwrap_or(usize::MAX);
        let last = found.last().map(|(id, ..)| ManifestCursor(*id));
        let mut untagged = Vec::new();
        for (id, repository_id, name, digest, is_untagged) in found {
            if is_untagged {
                let (repository, digest) = (rows::name(&name)?, encoding::digest(&digest)?);
                untagged.push(Doomed { id, repository_id, repository, digest, deletion: 0 });
            }
        }
        let mut stale = Stale::default();
        if let Some((keep, events)) = &self.delete {
            delete(context, &mut untagged, *keep, events, &mut stale).await?;
        }
        let manifests = untagged.into_iter().map(|one| (one.repository, one.digest)).collect();
        let page = UntaggedManifests { manifests, next: last.filter(|_| full) };
        Ok(Found { page, stale })
    }

    fn invalidate(&self, found: &Found, cache: &Cache) {
        found.stale.invalidate(cache);
    }
}

/// Deletes them, each in a deletion of its own.
async fn delete(
    context: &mut Context<'_>,
    untagged: &mut [Doomed],
    keep: Keep,
    events: &[NewEvent],
    stale: &mut Stale,
) -> Result<(), Fault> {
    let mut terms = Terms { grace: keep.grace, until: context.now, followed: true, events };
    let mut deletions = Vec::with_capacity(untagged.len());
    for one in untagged.iter_mut() {
        let named = berth_oci::Reference::Digest(one.digest);
        (one.deletion, terms.until) =
            deletion::begin(context, &one.repository, Some(&named), keep.undelete).await?;
        deletions.push(one.deletion);
    }
    removal::remove(context, untagged, &terms, stale).await?;
    deletion::end(context, &deletions).await
}

/// The tags that attach a manifest to a subject which is not there count for nothing.
pub(super) const LOOK: &str = concat!(
    "SELECT m.id, r.id, r.name, m.digest,
        m.created_at <= $3
        AND NOT EXISTS (
            SELECT 1 FROM tags t
            WHERE t.manifest_id = m.id AND NOT (
                substr(t.name, 1, 7) = 'sha256-' AND length(t.name) >= 71
                AND substr(t.name, 8, 64) NOT GLOB '*[^0-9a-f]*'
                AND substr(t.name, 72) IN ('', '.sig', '.att', '.sbom')
                AND NOT EXISTS (
                    SELECT 1 FROM manifests s
                    WHERE s.repository_id = m.repository_id
                        AND s.digest = unhex('00' || substr(t.name, 8, 64))
                )
            )
        )
        AND NOT EXISTS (",
    naming_index!("1"),
    ")
        AND NOT EXISTS (
            SELECT 1 FROM manifests s
            WHERE s.repository_id = m.repository_id AND s.digest = m.subject
        )
    FROM manifests m
    CROSS JOIN repositories r ON r.id = m.repository_id
    WHERE m.id > $1
    ORDER BY m.id
    LIMIT $2"
);
