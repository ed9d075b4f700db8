use async_trait::async_trait;
use berth_oci::Reference;

use super::deletion::{self, naming_index};
use super::engine::{Context, Operation};
use super::now;
use super::removal::{self, Doomed, Terms};
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

#[async_trait]
impl Operation for Untagged {
    type Output = UntaggedManifests;

    async fn apply(&self, context: &mut Context<'_>) -> Result<UntaggedManifests, Fault> {
        let UntaggedSearch { after, age, limit } = self.search;
        // What somebody is tagging, or naming in an index, at the moment is passed over.
        let ids: Vec<i64> = context
            .session
            .query_scalar(if self.delete.is_none() { PAGE } else { LOCK_PAGE })
            .bind(after.map_or(0, |ManifestCursor(id)| id))
            .bind(i64::from(limit))
            .fetch_all(context.session.connection())
            .await?;
        let full = ids.len() == usize::try_from(limit).unwrap_or(usize::MAX);
        let last = ids.last().copied().map(ManifestCursor);
        let found: Vec<(i64, i64, String, Vec<u8>)> = context
            .session
            .query_as(LOOK)
            .bind(ids)
            .bind(duration(age))
            .fetch_all(context.session.connection())
            .await?;
        let mut untagged = Vec::with_capacity(found.len());
        for (id, repository_id, name, digest) in found {
            let (repository, digest) = (rows::name(&name)?, encoding::digest(&digest)?);
            untagged.push(Doomed { id, repository_id, repository, digest, deletion: 0 });
        }
        if let Some((keep, events)) = &self.delete {
            delete(context, &mut untagged, *keep, events).await?;
        }
        let manifests = untagged.into_iter().map(|one| (one.repository, one.digest)).collect();
        Ok(UntaggedManifests { manifests, next: last.filter(|_| full) })
    }
}

/// Deletes them, each in a deletion of its own.
async fn delete(
    context: &mut Context<'_>,
    untagged: &mut [Doomed],
    keep: Keep,
    events: &[NewEvent],
) -> Result<(), Fault> {
    let recorded = !keep.undelete.is_zero();
    let mut terms = Terms { grace: keep.grace, until: 0, recorded, followed: true, events };
    let mut deletions = Vec::with_capacity(untagged.len());
    for one in untagged.iter_mut() {
        let named = Reference::Digest(one.digest);
        let (deletion, until) =
            deletion::begin(context.session, &one.repository, Some(&named), keep.undelete).await?;
        one.deletion = deletion;
        terms.until = terms.until.max(until);
        deletions.push(deletion);
    }
    removal::remove(context, untagged, &terms).await?;
    deletion::end(context.session, &deletions).await?;
    Ok(())
}

const PAGE: &str = "SELECT id FROM manifests WHERE id > $1 ORDER BY id LIMIT $2";

const LOCK_PAGE: &str =
    "SELECT id FROM manifests WHERE id > $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED";

/// Looked for when nobody can change it any longer: whoever tags a manifest, or names it in an index,
/// has to lock its row, too.
///
/// The tags that attach a manifest to a subject which is not there count for nothing.
pub(super) const LOOK: &str = concat!(
    "SELECT m.id, r.id, r.name, m.digest
    FROM manifests m
    JOIN repositories r ON r.id = m.repository_id
    WHERE m.id = ANY($1) AND m.created_at <= ",
    now!(),
    " - $2
        AND NOT EXISTS (
            SELECT 1 FROM tags t
            WHERE t.manifest_id = m.id AND NOT CASE
                WHEN t.name ~ '^sha256-[0-9a-f]{64}([.](sig|att|sbom))?$'
                THEN NOT EXISTS (
                    SELECT 1 FROM manifests s
                    WHERE s.repository_id = m.repository_id
                        AND s.digest = decode('00' || substr(t.name, 8, 64), 'hex')
                )
                ELSE false
            END
        )
        AND NOT EXISTS (",
    naming_index!("1"),
    ")
        AND NOT EXISTS (
            SELECT 1 FROM manifests s
            WHERE s.repository_id = m.repository_id AND s.digest = m.subject
        )
    ORDER BY m.id"
);
