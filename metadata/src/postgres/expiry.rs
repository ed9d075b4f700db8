use std::time::Duration;

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName, Tag};

use super::engine::{Context, Operation};
use super::session::Session;
use super::{deletion, now, tags};
use crate::encoding::{digest, digest_bytes, duration, page};
use crate::expiry::{self, TagUseRow, stands_alone, untagged_since};
use crate::fault::Fault;
use crate::{ExpiredManifests, NewEvent, Page, ProtectedTags, TagUse, UntaggedLook};

pub(super) async fn tag_uses(
    session: &mut Session,
    repository: &RepositoryName,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<TagUse>, Fault> {
    let rows: Vec<TagUseRow> = session
        .query_as(TAG_USES)
        .bind(repository.as_str())
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_all(session.connection())
        .await?;
    page(rows, limit, expiry::tag_use)
}

pub(super) const TAG_USES: &str = "
    SELECT t.name, t.updated_at,
        coalesce((SELECT x.pulled_at FROM manifest_times x WHERE x.manifest_id = t.manifest_id), 0)
    FROM tags t
    WHERE t.repository_id = (SELECT id FROM repositories WHERE name = $1) AND t.name > $2
    ORDER BY t.name
    LIMIT $3";

/// See [`MetadataStore::expire_tags`](crate::MetadataStore::expire_tags).
pub(super) struct ExpireTags {
    pub(super) repository: RepositoryName,
    /// In the order of their names, in which everybody locks them.
    pub(super) tags: Vec<TagUse>,
    pub(super) undelete: Duration,
    pub(super) events: Vec<NewEvent>,
}

#[async_trait]
impl Operation for ExpireTags {
    type Output = Vec<Tag>;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Vec<Tag>, Fault> {
        let mut deleted = Vec::new();
        for tag in &self.tags {
            let (pushed, pulled) = expiry::seen(tag);
            let is_as_seen: Option<bool> = context
                .session
                .query_scalar(LOCK_AS_SEEN)
                .bind(self.repository.as_str())
                .bind(tag.tag.as_str())
                .bind(pushed)
                .bind(pulled)
                .fetch_optional(context.session.connection())
                .await?;
            if is_as_seen.is_none() {
                continue;
            }
            let delete = tags::Delete {
                repository: self.repository.clone(),
                tag: tag.tag.clone(),
                undelete: self.undelete,
                events: self.events_of(&tag.tag),
            };
            if delete.apply(context).await? {
                deleted.push(tag.tag.clone());
            }
        }
        Ok(deleted)
    }
}

impl ExpireTags {
    fn events_of(&self, tag: &Tag) -> Vec<NewEvent> {
        let event = |event: &NewEvent| event.of_deleted_tag(&self.repository, tag);
        self.events.iter().map(event).collect()
    }
}

/// A tag that somebody is pushing at the moment is not as it was seen.
pub(super) const LOCK_AS_SEEN: &str = "
    SELECT true
    FROM tags t
    WHERE t.repository_id = (SELECT id FROM repositories WHERE name = $1) AND t.name = $2
        AND t.updated_at = $3 AND NOT EXISTS (
            SELECT 1 FROM manifest_times x WHERE x.manifest_id = t.manifest_id AND x.pulled_at > $4
        )
    FOR UPDATE SKIP LOCKED";

/// See [`MetadataStore::expire_untagged`](crate::MetadataStore::expire_untagged).
pub(super) struct ExpireUntagged {
    pub(super) repository: RepositoryName,
    pub(super) look: UntaggedLook,
    pub(super) events: Vec<NewEvent>,
}

#[async_trait]
impl Operation for ExpireUntagged {
    type Output = ExpiredManifests;

    async fn apply(&self, context: &mut Context<'_>) -> Result<ExpiredManifests, Fault> {
        let look = &self.look;
        let rows: Vec<(Vec<u8>, bool)> = context
            .session
            .query_as(UNTAGGED)
            .bind(self.repository.as_str())
            .bind(look.after.as_ref().map(digest_bytes).unwrap_or_default())
            .bind(i64::from(look.limit))
            .bind(duration(look.age))
            .fetch_all(context.session.connection())
            .await?;
        let mut page = expired(rows, look.limit)?;
        if look.dry_run || page.manifests.is_empty() {
            return Ok(page);
        }
        page.manifests = self.lock(context.session, &page.manifests).await?;
        for digest in &page.manifests {
            let delete = deletion::Delete {
                repository: self.repository.clone(),
                digest: *digest,
                keep: look.keep,
                events: self.events.clone(),
                protected: ProtectedTags::default(),
            };
            delete.apply(context).await?;
        }
        Ok(page)
    }
}

impl ExpireUntagged {
    /// Locks manifests, passing over those that somebody is tagging or naming in an index at the
    /// moment, and gives those whose time is over still, now that nobody can change it any longer.
    async fn lock(&self, session: &mut Session, found: &[Digest]) -> Result<Vec<Digest>, Fault> {
        let digests: Vec<Vec<u8>> = found.iter().map(digest_bytes).collect();
        let ids: Vec<i64> = session
            .query_scalar(LOCK)
            .bind(self.repository.as_str())
            .bind(digests)
            .fetch_all(session.connection())
            .await?;
        let left: Vec<Vec<u8>> = session
            .query_scalar(UNTAGGED_AMONG)
            .bind(ids)
            .bind(duration(self.look.age))
            .fetch_all(session.connection())
            .await?;
        left.iter().map(|bytes| digest(bytes)).collect()
    }
}

/// The page out of rows, each a digest and whether the manifest's time is over.
fn expired(rows: Vec<(Vec<u8>, bool)>, limit: u32) -> Result<ExpiredManifests, Fault> {
    let full = rows.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let next = rows.last().filter(|_| full).map(|(bytes, _)| digest(bytes)).transpose()?;
    let over = rows.iter().filter(|(_, is_over)| *is_over);
    let manifests = over.map(|(bytes, _)| digest(bytes)).collect::<Result<_, _>>()?;
    Ok(ExpiredManifests { manifests, next })
}

pub(super) const UNTAGGED: &str = concat!(
    "SELECT m.digest, ",
    stands_alone!(),
    " AND ",
    untagged_since!("greatest"),
    " <= ",
    now!(),
    " - $4
    FROM manifests m
    WHERE m.repository_id = (SELECT id FROM repositories WHERE name = $1) AND m.digest > $2
    ORDER BY m.digest
    LIMIT $3"
);

pub(super) const LOCK: &str = "
    SELECT m.id
    FROM manifests m
    WHERE m.repository_id = (SELECT id FROM repositories WHERE name = $1) AND m.digest = ANY($2)
    ORDER BY m.id
    FOR UPDATE SKIP LOCKED";

pub(super) const UNTAGGED_AMONG: &str = concat!(
    "SELECT m.digest FROM manifests m WHERE m.id = ANY($1) AND ",
    stands_alone!(),
    " AND ",
    untagged_since!("greatest"),
    " <= ",
    now!(),
    " - $2 ORDER BY m.digest"
);

/// See [`MetadataStore::record_pulls`](crate::MetadataStore::record_pulls).
pub(super) struct RecordPulls(pub(super) Vec<(RepositoryName, Digest)>);

#[async_trait]
impl Operation for RecordPulls {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        let digests: Vec<Vec<u8>> = self.0.iter().map(|(_, digest)| digest_bytes(digest)).collect();
        context
            .session
            .query(RECORD_PULLS)
            .bind(names.as_slice())
            .bind(digests.as_slice())
            .execute(context.session.connection())
            .await?;
        context
            .session
            .query(NOTE_CACHED_PULLS)
            .bind(names)
            .bind(digests)
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}

/// The rows are locked by now: those of their manifests' times are.
pub(super) const NOTE_CACHED_PULLS: &str = concat!(
    "UPDATE cached_manifests c SET pulled_at = ",
    now!(),
    " FROM unnest($1::text[], $2::bytea[]) AS q (repository, digest)
    CROSS JOIN LATERAL (
        SELECT m.id
        FROM repositories r
        JOIN manifests m ON m.repository_id = r.id AND m.digest = q.digest
        WHERE r.name = q.repository
        LIMIT 1
    ) f
    WHERE c.manifest_id = f.id"
);

/// In the order of the ids, in which everybody writes them. `LATERAL` with a limit has the server look
/// up one after the other, by index.
pub(super) const RECORD_PULLS: &str = concat!(
    "INSERT INTO manifest_times (manifest_id, pulled_at)
    SELECT DISTINCT f.id, (SELECT ",
    now!(),
    ") FROM unnest($1::text[], $2::bytea[]) AS q (repository, digest)
    CROSS JOIN LATERAL (
        SELECT m.id
        FROM repositories r
        JOIN manifests m ON m.repository_id = r.id AND m.digest = q.digest
        WHERE r.name = q.repository
        LIMIT 1
    ) f
    ORDER BY f.id
    ON CONFLICT (manifest_id) DO UPDATE SET pulled_at = excluded.pulled_at"
);
