//! Having back what was deleted, and forgetting it.

use std::collections::HashSet;

use async_trait::async_trait;
use berth_oci::{Digest, Reference, RepositoryName, Tag};
use bytes::Bytes;

use super::deletion::FORGET_EMPTY;
use super::engine::{Context, Operation};
use super::removal::parse_tag;
use super::session::Session;
use super::{manifests, now, outbox, repositories};
use crate::encoding::{self, digest_bytes, time};
use crate::fault::Fault;
use crate::lifecycle;
use crate::rows::{self, DeletedRow, DeletionRow, KeptReferences};
use crate::{DeletedManifest, Deletion, DeletionId, ManifestRecord, NewEvent, Restore};

/// Deletions that can be had back, the newest first.
pub(super) async fn list(
    session: &mut Session,
    repository: Option<&RepositoryName>,
    before: Option<DeletionId>,
    limit: u32,
) -> Result<Vec<Deletion>, Fault> {
    let before = before.map_or(i64::MAX, |DeletionId(id)| id);
    let query = match repository {
        None => session.query_as(LIST).bind(before).bind(i64::from(limit)),
        Some(repository) => session
            .query_as(LIST_OF_REPOSITORY)
            .bind(before)
            .bind(i64::from(limit))
            .bind(repository.as_str()),
    };
    let rows: Vec<DeletionRow> = query.fetch_all(session.connection()).await?;
    rows.into_iter().map(rows::deletion).collect()
}

/// What is told of a deletion `d`. More than a thousand of a kind are not counted.
macro_rules! told {
    () => {
        "d.id, d.repository, d.digest, d.tag, d.deleted_at, d.until, d.open = 1,
        (SELECT count(*) FROM (
            SELECT 1 FROM deleted_manifests m WHERE m.deletion_id = d.id LIMIT 1000
        ) m),
        (SELECT count(*) FROM (
            SELECT 1 FROM deleted_tags t WHERE t.deletion_id = d.id LIMIT 1000
        ) t)"
    };
}

pub(super) const LIST: &str = concat!(
    "SELECT ",
    told!(),
    " FROM deletions d WHERE d.id < $1 AND d.until > ",
    now!(),
    " ORDER BY d.id DESC LIMIT $2"
);

pub(super) const LIST_OF_REPOSITORY: &str = concat!(
    "SELECT ",
    told!(),
    " FROM deletions d WHERE d.repository = $3 AND d.id < $1 AND d.until > ",
    now!(),
    " ORDER BY d.id DESC LIMIT $2"
);

/// The newest deletion that something of this name can be had back from.
pub(super) async fn find(
    session: &mut Session,
    repository: &RepositoryName,
    reference: Option<&Reference>,
) -> Result<Option<Deletion>, Fault> {
    let query = match reference {
        None => session.query_as(FIND_WHOLE).bind(repository.as_str()),
        Some(Reference::Digest(digest)) => {
            session.query_as(FIND_MANIFEST).bind(repository.as_str()).bind(digest_bytes(digest))
        }
        Some(Reference::Tag(tag)) => {
            session.query_as(FIND_TAG).bind(repository.as_str()).bind(tag.as_str())
        }
    };
    let row: Option<DeletionRow> = query.fetch_optional(session.connection()).await?;
    row.map(rows::deletion).transpose()
}

pub(super) const FIND_WHOLE: &str = concat!(
    "SELECT ",
    told!(),
    " FROM deletions d
    WHERE d.repository = $1 AND d.digest IS NULL AND d.tag IS NULL AND d.until > ",
    now!(),
    " ORDER BY d.id DESC LIMIT 1"
);

pub(super) const FIND_MANIFEST: &str = concat!(
    "SELECT ",
    told!(),
    " FROM deleted_manifests f JOIN deletions d ON d.id = f.deletion_id
    WHERE f.repository = $1 AND f.digest = $2 AND d.until > ",
    now!(),
    " ORDER BY f.deletion_id DESC LIMIT 1"
);

pub(super) const FIND_TAG: &str = concat!(
    "SELECT ",
    told!(),
    " FROM deleted_tags f JOIN deletions d ON d.id = f.deletion_id
    WHERE f.repository = $1 AND f.name = $2 AND d.until > ",
    now!(),
    " ORDER BY f.deletion_id DESC LIMIT 1"
);

/// The manifests of a deletion behind `after`, and those that tags of it pointed to.
pub(super) async fn content(
    session: &mut Session,
    id: DeletionId,
    after: Option<&Digest>,
    limit: u32,
) -> Result<Vec<DeletedManifest>, Fault> {
    let rows: Vec<DeletedRow> = session
        .query_as(CONTENT)
        .bind(id.0)
        .bind(after.map(digest_bytes).unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(session.connection())
        .await?;
    rows.into_iter().map(rows::deleted).collect()
}

pub(super) const CONTENT: &str = "
    SELECT digest, max(is_index) FROM (
        (
            SELECT digest, (manifests <> '[]')::int::bigint AS is_index FROM deleted_manifests
            WHERE deletion_id = $1 AND digest > $2 ORDER BY digest LIMIT $3
        )
        UNION ALL
        (
            SELECT DISTINCT digest, 0::bigint AS is_index FROM deleted_tags
            WHERE deletion_id = $1 AND digest > $2 ORDER BY digest LIMIT $3
        )
    ) f
    GROUP BY digest ORDER BY digest LIMIT $3";

/// See [`MetadataStore::deleted_manifest`](crate::MetadataStore::deleted_manifest).
pub(super) async fn manifest(
    session: &mut Session,
    id: DeletionId,
    digest: &Digest,
) -> Result<Option<ManifestRecord>, Fault> {
    let row: Option<(String, Vec<u8>)> = session
        .query_as(MANIFEST)
        .bind(id.0)
        .bind(digest_bytes(digest))
        .fetch_optional(session.connection())
        .await?;
    Ok(row.map(|(media_type, payload)| ManifestRecord {
        digest: *digest,
        media_type,
        payload: Bytes::from(payload),
    }))
}

pub(super) const MANIFEST: &str =
    "SELECT media_type, payload FROM deleted_manifests WHERE deletion_id = $1 AND digest = $2";

/// See [`MetadataStore::restore`](crate::MetadataStore::restore).
pub(super) struct BringBack {
    pub(super) id: i64,
    pub(super) digest: Digest,
    pub(super) after: Option<Tag>,
    pub(super) limit: u32,
    pub(super) events: Vec<NewEvent>,
}

#[async_trait]
impl Operation for BringBack {
    type Output = Restore;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Restore, Fault> {
        let deletion: Option<(String, i64, i64)> = context
            .session
            .query_as(LOCK_DELETION)
            .bind(self.id)
            .fetch_optional(context.session.connection())
            .await?;
        let Some((name, until, now)) = deletion else { return Ok(Restore::Unknown) };
        if !lifecycle::may_restore(time(until)?, time(now)?) {
            return Ok(Restore::Unknown);
        }
        let repository = rows::name(&name)?;
        let repository_id = repositories::make(context.session, &name).await?;
        let place = Place { repository, repository_id };
        let manifest = match self.bring_manifest(context, &place).await? {
            Ok(manifest) => manifest,
            Err(refusal) => return Ok(refusal),
        };
        let (tags, taken, more_after) = self.bring_tags(context, &place, manifest).await?;
        let of_tag = |tag| self.events.iter().map(move |event| event.of_stored_tag(tag));
        match tags.is_empty() {
            true if self.after.is_none() => context.events.extend_from_slice(&self.events),
            _ => context.events.extend(tags.iter().flat_map(of_tag)),
        }
        context
            .session
            .query(FORGET_EMPTY)
            .bind(vec![self.id])
            .execute(context.session.connection())
            .await?;
        Ok(Restore::Restored { tags, taken, more_after })
    }
}

/// Where something comes back.
struct Place {
    repository: RepositoryName,
    repository_id: i64,
}

impl BringBack {
    /// Brings the manifest back unless it is there. Answers its id; its row is locked.
    async fn bring_manifest(
        &self,
        context: &mut Context<'_>,
        place: &Place,
    ) -> Result<Result<i64, Restore>, Fault> {
        let session = &mut *context.session;
        let digest = digest_bytes(&self.digest);
        let kept: Option<(i64, String, String)> = session
            .query_as(REFERENCES)
            .bind(self.id)
            .bind(&digest)
            .fetch_optional(session.connection())
            .await?;
        let Some((kept, blobs, manifests)) = kept else {
            let present = lock_present(session, place.repository_id, &digest).await?;
            return match present {
                Some(present) => Ok(Ok(present)),
                None => Ok(Err(self.without_manifest(session).await?)),
            };
        };
        let (blobs, manifests) =
            (KeptReferences::parse(&blobs)?, KeptReferences::parse(&manifests)?);
        let missing = missing(session, place, &blobs, &manifests).await?;
        if !missing.is_empty() {
            return Ok(Err(Restore::Missing(missing)));
        }
        let new: Option<i64> = session
            .query_scalar(STORE)
            .bind(kept)
            .bind(place.repository_id)
            .fetch_optional(session.connection())
            .await?;
        let id = match new {
            Some(id) => {
                self.refer(session, place, id, &blobs, &manifests).await?;
                self.tell_tree(context, place).await?;
                id
            }
            // Somebody has pushed it since.
            None => match lock_present(session, place.repository_id, &digest).await? {
                Some(present) => present,
                None => return Err(Fault::Unavailable("the manifest is being changed".to_owned())),
            },
        };
        context
            .session
            .query("DELETE FROM deleted_manifests WHERE id = $1")
            .bind(kept)
            .execute(context.session.connection())
            .await?;
        Ok(Ok(id))
    }

    async fn without_manifest(&self, session: &mut Session) -> Result<Restore, Fault> {
        let has_tags: Option<i32> = session
            .query_scalar(HAS_TAGS)
            .bind(self.id)
            .bind(digest_bytes(&self.digest))
            .fetch_optional(session.connection())
            .await?;
        Ok(has_tags.map_or(Restore::Unknown, |_| Restore::ManifestGone))
    }

    async fn refer(
        &self,
        session: &mut Session,
        place: &Place,
        id: i64,
        blobs: &KeptReferences,
        manifests: &KeptReferences,
    ) -> Result<(), Fault> {
        for (references, sql) in [
            (blobs.all(), manifests::REFER_TO_BLOBS),
            (manifests.all(), manifests::REFER_TO_MANIFESTS),
        ] {
            let digests = bytes(&references)?;
            let query = session.query(sql).bind(id).bind(digests).bind(place.repository_id);
            query.execute(session.connection()).await?;
        }
        Ok(())
    }

    async fn tell_tree(&self, context: &mut Context<'_>, place: &Place) -> Result<(), Fault> {
        if context.has_files {
            context
                .session
                .query(manifests::KEEP_FILE)
                .bind(digest_bytes(&self.digest))
                .execute(context.session.connection())
                .await?;
        }
        let digest = Some(&self.digest);
        outbox::record(context, "put_manifest", &place.repository, digest, None).await
    }

    /// Points tags to the manifest that have not come to point elsewhere. Answers them, those that
    /// have, and the last tag when there may be more.
    async fn bring_tags(
        &self,
        context: &mut Context<'_>,
        place: &Place,
        manifest: i64,
    ) -> Result<(Vec<Tag>, Vec<Tag>, Option<Tag>), Fault> {
        let names: Vec<String> = context
            .session
            .query_scalar(TAGS)
            .bind(self.id)
            .bind(digest_bytes(&self.digest))
            .bind(self.after.as_ref().map_or("", Tag::as_str))
            .bind(i64::from(self.limit))
            .fetch_all(context.session.connection())
            .await?;
        let is_full = names.len() == self.limit as usize;
        let (mut tags, mut taken, mut settled, mut last) = (vec![], vec![], vec![], None);
        for name in names {
            let tag = parse_tag(&name)?;
            last = Some(tag.clone());
            match self.set_tag(context, place, &tag, manifest).await? {
                Set::New => {
                    let digest = Some(&self.digest);
                    outbox::record(context, "set_tag", &place.repository, digest, Some(&tag))
                        .await?;
                    tags.push(tag);
                }
                Set::Same => {}
                Set::Taken => {
                    taken.push(tag);
                    continue;
                }
            }
            settled.push(name);
        }
        context
            .session
            .query(FORGET_NAMED_TAGS)
            .bind(self.id)
            .bind(digest_bytes(&self.digest))
            .bind(settled)
            .execute(context.session.connection())
            .await?;
        Ok((tags, taken, last.filter(|_| is_full)))
    }

    async fn set_tag(
        &self,
        context: &mut Context<'_>,
        place: &Place,
        tag: &Tag,
        manifest: i64,
    ) -> Result<Set, Fault> {
        let session = &mut *context.session;
        let set = session
            .query(SET_TAG)
            .bind(place.repository_id)
            .bind(tag.as_str())
            .bind(manifest)
            .execute(session.connection())
            .await?;
        if set.rows_affected() > 0 {
            return Ok(Set::New);
        }
        let present: Option<i64> = session
            .query_scalar("SELECT manifest_id FROM tags WHERE repository_id = $1 AND name = $2")
            .bind(place.repository_id)
            .bind(tag.as_str())
            .fetch_optional(session.connection())
            .await?;
        Ok(if present == Some(manifest) { Set::Same } else { Set::Taken })
    }
}

/// What became of a tag.
enum Set {
    New,
    /// It pointed there.
    Same,
    /// It points elsewhere.
    Taken,
}

async fn lock_present(
    session: &mut Session,
    repository_id: i64,
    digest: &[u8],
) -> Result<Option<i64>, Fault> {
    let id = session
        .query_scalar(LOCK_PRESENT)
        .bind(repository_id)
        .bind(digest)
        .fetch_optional(session.connection())
        .await?;
    Ok(id)
}

/// What the manifest needs of what the repository had, and has no longer. What it has stays until the
/// manifest stands.
async fn missing(
    session: &mut Session,
    place: &Place,
    blobs: &KeptReferences,
    manifests: &KeptReferences,
) -> Result<Vec<Digest>, Fault> {
    let mut missing = Vec::new();
    for (needed, sql) in
        [(blobs.needed(), manifests::HOLD_BLOBS), (manifests.needed(), manifests::HOLD_MANIFESTS)]
    {
        let needed = bytes(&needed)?;
        let held: Vec<Vec<u8>> = session
            .query_scalar(sql)
            .bind(place.repository.as_str())
            .bind(&needed)
            .fetch_all(session.connection())
            .await?;
        let held: HashSet<Vec<u8>> = held.into_iter().collect();
        for digest in needed.iter().filter(|digest| !held.contains(*digest)) {
            missing.push(encoding::digest(digest)?);
        }
    }
    Ok(missing)
}

/// Digests as they stand in columns, from hexadecimal text.
fn bytes(digests: &[&str]) -> Result<Vec<Vec<u8>>, Fault> {
    let bytes = |digest: &&str| Ok(digest_bytes(&encoding::digest_of_hex(digest)?));
    digests.iter().map(bytes).collect()
}

pub(super) const LOCK_DELETION: &str =
    concat!("SELECT repository, until, ", now!(), " FROM deletions WHERE id = $1 FOR UPDATE");

pub(super) const REFERENCES: &str = "
    SELECT id, blobs, manifests FROM deleted_manifests WHERE deletion_id = $1 AND digest = $2";

pub(super) const HAS_TAGS: &str =
    "SELECT 1 FROM deleted_tags WHERE deletion_id = $1 AND digest = $2 LIMIT 1";

pub(super) const LOCK_PRESENT: &str = "
    SELECT id FROM manifests WHERE repository_id = $1 AND digest = $2 FOR KEY SHARE";

const STORE: &str = "
    INSERT INTO manifests (
        repository_id, digest, media_type, artifact_type, subject, created_at, annotations, payload
    )
    SELECT $2, digest, media_type, artifact_type, subject, created_at, annotations, payload
    FROM deleted_manifests WHERE id = $1
    ON CONFLICT (repository_id, digest) DO NOTHING
    RETURNING id";

pub(super) const TAGS: &str = "
    SELECT name FROM deleted_tags
    WHERE deletion_id = $1 AND digest = $2 AND name > $3
    ORDER BY name
    LIMIT $4";

const SET_TAG: &str = concat!(
    "INSERT INTO tags (repository_id, name, manifest_id, updated_at) VALUES ($1, $2, $3, ",
    now!(),
    ") ON CONFLICT (repository_id, name) DO NOTHING"
);

pub(super) const FORGET_NAMED_TAGS: &str =
    "DELETE FROM deleted_tags WHERE deletion_id = $1 AND digest = $2 AND name = ANY($3)";

/// See [`MetadataStore::forget_deletions`](crate::MetadataStore::forget_deletions).
pub(super) struct Forget {
    pub(super) limit: u32,
}

#[async_trait]
impl Operation for Forget {
    type Output = u64;

    async fn apply(&self, context: &mut Context<'_>) -> Result<u64, Fault> {
        let rows: Vec<(i64, i64, i64)> = context
            .session
            .query_as(OVER)
            .bind(i64::from(self.limit))
            .fetch_all(context.session.connection())
            .await?;
        let mut left = u64::from(self.limit);
        for (id, until, now) in rows {
            if lifecycle::may_restore(time(until)?, time(now)?) || left == 0 {
                break;
            }
            left = left.saturating_sub(forget(context.session, id, left).await?);
        }
        Ok(u64::from(self.limit) - left)
    }
}

/// Forgets so much of a deletion. Answers how many rows.
async fn forget(session: &mut Session, id: i64, limit: u64) -> Result<u64, Fault> {
    let mut forgotten = 0;
    for sql in [FORGET_MANIFESTS, FORGET_TAGS] {
        let rows = session
            .query(sql)
            .bind(id)
            .bind(i64::try_from(limit - forgotten).unwrap_or(i64::MAX))
            .execute(session.connection())
            .await?;
        forgotten += rows.rows_affected();
    }
    let last = session.query(FORGET_EMPTY).bind(vec![id]).execute(session.connection()).await?;
    Ok(forgotten + last.rows_affected())
}

pub(super) const OVER: &str = concat!(
    "SELECT d.id, d.until, t.now
    FROM (SELECT ",
    now!(),
    " AS now) t, deletions d
    WHERE d.until <= t.now AND d.open = 0
    ORDER BY d.until
    LIMIT $1
    FOR UPDATE OF d SKIP LOCKED"
);

pub(super) const FORGET_MANIFESTS: &str = "
    DELETE FROM deleted_manifests WHERE id = ANY (ARRAY(
        SELECT id FROM deleted_manifests WHERE deletion_id = $1 LIMIT $2
    ))";

pub(super) const FORGET_TAGS: &str = "
    DELETE FROM deleted_tags t USING (
        SELECT deletion_id, digest, name FROM deleted_tags WHERE deletion_id = $1 LIMIT $2
    ) f
    WHERE t.deletion_id = f.deletion_id AND t.digest = f.digest AND t.name = f.name";
