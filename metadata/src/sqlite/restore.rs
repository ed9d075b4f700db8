//! Having back what was deleted, and forgetting it.

use std::time::SystemTime;

use async_trait::async_trait;
use berth_oci::{Digest, Reference, RepositoryName, Tag};
use bytes::Bytes;
use sqlx::SqliteConnection;

use super::cache::Cache;
use super::removal::parse_tag;
use super::writer::{Context, Operation};
use crate::encoding::{self, digest_bytes, json, micros, time};
use crate::fault::Fault;
use crate::lifecycle;
use crate::rows::{self, DeletedRow, DeletionRow, KeptReferences};
use crate::{DeletedManifest, Deletion, DeletionId, ManifestRecord, NewEvent, Restore};

/// Deletions that can be had back, the newest first.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    repository: Option<&RepositoryName>,
    before: Option<DeletionId>,
    limit: u32,
) -> Result<Vec<Deletion>, Fault> {
    let query = match repository {
        None => sqlx::query_as(LIST),
        Some(_) => sqlx::query_as(LIST_OF_REPOSITORY),
    };
    let rows: Vec<DeletionRow> = query
        .bind(micros(SystemTime::now()))
        .bind(before.map_or(i64::MAX, |DeletionId(id)| id))
        .bind(i64::from(limit))
        .bind(repository.map_or("", RepositoryName::as_str))
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(rows::deletion).collect()
}

/// What is told of a deletion `d`. More than a thousand of a kind are not counted.
macro_rules! told {
    () => {
        "d.id, d.repository, d.digest, d.tag, d.deleted_at, d.until, d.open = 1,
        (SELECT count(*) FROM (
            SELECT 1 FROM deleted_manifests m WHERE m.deletion_id = d.id LIMIT 1000
        )),
        (SELECT count(*) FROM (
            SELECT 1 FROM deleted_tags t WHERE t.deletion_id = d.id LIMIT 1000
        ))"
    };
}

pub(super) const LIST: &str = concat!(
    "SELECT ",
    told!(),
    " FROM deletions d WHERE d.id < $2 AND d.until > $1 AND $4 = '' ORDER BY d.id DESC LIMIT $3"
);

pub(super) const LIST_OF_REPOSITORY: &str = concat!(
    "SELECT ",
    told!(),
    " FROM deletions d WHERE d.repository = $4 AND d.id < $2 AND d.until > $1
    ORDER BY d.id DESC LIMIT $3"
);

/// The newest deletion that something of this name can be had back from.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    repository: &RepositoryName,
    reference: Option<&Reference>,
) -> Result<Option<Deletion>, Fault> {
    let now = micros(SystemTime::now());
    let query = match reference {
        None => sqlx::query_as(FIND_WHOLE).bind(repository.as_str()).bind(now),
        Some(Reference::Digest(digest)) => sqlx::query_as(FIND_MANIFEST)
            .bind(repository.as_str())
            .bind(now)
            .bind(digest_bytes(digest)),
        Some(Reference::Tag(tag)) => {
            sqlx::query_as(FIND_TAG).bind(repository.as_str()).bind(now).bind(tag.as_str())
        }
    };
    let row: Option<DeletionRow> = query.fetch_optional(connection).await?;
    row.map(rows::deletion).transpose()
}

pub(super) const FIND_WHOLE: &str = concat!(
    "SELECT ",
    told!(),
    " FROM deletions d
    WHERE d.repository = $1 AND d.until > $2 AND d.digest IS NULL AND d.tag IS NULL
    ORDER BY d.id DESC LIMIT 1"
);

pub(super) const FIND_MANIFEST: &str = concat!(
    "SELECT ",
    told!(),
    " FROM deleted_manifests f JOIN deletions d ON d.id = f.deletion_id
    WHERE f.repository = $1 AND f.digest = $3 AND d.until > $2
    ORDER BY f.deletion_id DESC LIMIT 1"
);

pub(super) const FIND_TAG: &str = concat!(
    "SELECT ",
    told!(),
    " FROM deleted_tags f JOIN deletions d ON d.id = f.deletion_id
    WHERE f.repository = $1 AND f.name = $3 AND d.until > $2
    ORDER BY f.deletion_id DESC LIMIT 1"
);

/// The manifests of a deletion behind `after`, and those that tags of it pointed to.
pub(super) async fn content(
    connection: &mut SqliteConnection,
    id: DeletionId,
    after: Option<&Digest>,
    limit: u32,
) -> Result<Vec<DeletedManifest>, Fault> {
    let rows: Vec<DeletedRow> = sqlx::query_as(CONTENT)
        .bind(id.0)
        .bind(after.map(digest_bytes).unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(rows::deleted).collect()
}

pub(super) const CONTENT: &str = "
    SELECT digest, max(is_index) FROM (
        SELECT * FROM (
            SELECT digest, manifests <> '[]' AS is_index FROM deleted_manifests
            WHERE deletion_id = $1 AND digest > $2 ORDER BY digest LIMIT $3
        )
        UNION ALL
        SELECT * FROM (
            SELECT DISTINCT digest, 0 AS is_index FROM deleted_tags
            WHERE deletion_id = $1 AND digest > $2 ORDER BY digest LIMIT $3
        )
    )
    GROUP BY digest ORDER BY digest LIMIT $3";

/// See [`MetadataStore::deleted_manifest`](crate::MetadataStore::deleted_manifest).
pub(super) async fn manifest(
    connection: &mut SqliteConnection,
    id: DeletionId,
    digest: &Digest,
) -> Result<Option<ManifestRecord>, Fault> {
    let row: Option<(String, Vec<u8>)> = sqlx::query_as(MANIFEST)
        .bind(id.0)
        .bind(digest_bytes(digest))
        .fetch_optional(connection)
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

/// How it ended, and where.
pub(super) struct Restored {
    pub(super) answer: Restore,
    repository: Option<RepositoryName>,
}

#[async_trait]
impl Operation for BringBack {
    type Output = Restored;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Restored, Fault> {
        let deletion: Option<(String, i64)> = sqlx::query_as(FIND_DELETION)
            .bind(self.id)
            .fetch_optional(&mut *context.connection)
            .await?;
        let now = time(context.now)?;
        let nothing = |answer| Ok(Restored { answer, repository: None });
        let Some((name, until)) = deletion else { return nothing(Restore::Unknown) };
        if !lifecycle::may_restore(time(until)?, now) {
            return nothing(Restore::Unknown);
        }
        let manifest = match self.bring_manifest(context, &name).await? {
            Ok(manifest) => manifest,
            Err(refusal) => return nothing(refusal),
        };
        let (tags, taken, more_after) = self.bring_tags(context, &name, manifest).await?;
        let of_tag = |tag| self.events.iter().map(move |event| event.of_stored_tag(tag));
        match tags.is_empty() {
            true if self.after.is_none() => context.events.extend_from_slice(&self.events),
            _ => context.events.extend(tags.iter().flat_map(of_tag)),
        }
        sqlx::query(FORGET_EMPTY).bind(self.id).execute(&mut *context.connection).await?;
        let answer = Restore::Restored { tags, taken, more_after };
        Ok(Restored { answer, repository: Some(rows::name(&name)?) })
    }

    fn invalidate(&self, output: &Restored, cache: &Cache) {
        let (Some(repository), Restore::Restored { tags, .. }) =
            (&output.repository, &output.answer)
        else {
            return;
        };
        cache.manifest_changed(repository, &Reference::Digest(self.digest));
        for tag in tags {
            cache.manifest_changed(repository, &Reference::Tag(tag.clone()));
        }
    }
}

impl BringBack {
    /// Brings the manifest back unless it is there. Answers its id.
    async fn bring_manifest(
        &self,
        context: &mut Context<'_>,
        repository: &str,
    ) -> Result<Result<i64, Restore>, Fault> {
        let digest = digest_bytes(&self.digest);
        let (kept, present): (Option<i64>, Option<i64>) = sqlx::query_as(FIND_BOTH)
            .bind(self.id)
            .bind(&digest)
            .bind(repository)
            .fetch_one(&mut *context.connection)
            .await?;
        let id = match (present, kept) {
            (Some(present), None) => return Ok(Ok(present)),
            (None, None) => return Ok(Err(self.without_manifest(context).await?)),
            (Some(present), Some(_)) => present,
            (None, Some(kept)) => {
                let (blobs, manifests): (String, String) = sqlx::query_as(REFERENCES)
                    .bind(kept)
                    .fetch_one(&mut *context.connection)
                    .await?;
                let (blobs, manifests) =
                    (KeptReferences::parse(&blobs)?, KeptReferences::parse(&manifests)?);
                let missing = missing(context, repository, &blobs, &manifests).await?;
                if !missing.is_empty() {
                    return Ok(Err(Restore::Missing(missing)));
                }
                self.store(context, repository, kept, &blobs, &manifests).await?
            }
        };
        sqlx::query("DELETE FROM deleted_manifests WHERE deletion_id = $1 AND digest = $2")
            .bind(self.id)
            .bind(digest)
            .execute(&mut *context.connection)
            .await?;
        Ok(Ok(id))
    }

    async fn without_manifest(&self, context: &mut Context<'_>) -> Result<Restore, Fault> {
        let has_tags: Option<i64> = sqlx::query_scalar(HAS_TAGS)
            .bind(self.id)
            .bind(digest_bytes(&self.digest))
            .fetch_optional(&mut *context.connection)
            .await?;
        Ok(has_tags.map_or(Restore::Unknown, |_| Restore::ManifestGone))
    }

    async fn store(
        &self,
        context: &mut Context<'_>,
        repository: &str,
        kept: i64,
        blobs: &KeptReferences,
        manifests: &KeptReferences,
    ) -> Result<i64, Fault> {
        sqlx::query(STORE)
            .bind(kept)
            .bind(repository)
            .bind(digest_bytes(&self.digest))
            .bind(context.record_links)
            .execute(&mut *context.connection)
            .await?;
        let id = sqlx::query_scalar(FIND_STORED)
            .bind(repository)
            .bind(digest_bytes(&self.digest))
            .fetch_one(&mut *context.connection)
            .await?;
        sqlx::query(REFER)
            .bind(id)
            .bind(json(&blobs.all())?)
            .bind(json(&manifests.all())?)
            .bind(repository)
            .execute(&mut *context.connection)
            .await?;
        Ok(id)
    }

    /// Points tags to the manifest that have not come to point elsewhere. Answers them, those that
    /// have, and the last tag when there may be more.
    async fn bring_tags(
        &self,
        context: &mut Context<'_>,
        repository: &str,
        manifest: i64,
    ) -> Result<(Vec<Tag>, Vec<Tag>, Option<Tag>), Fault> {
        let rows: Vec<(String, Option<i64>)> = sqlx::query_as(TAGS)
            .bind(self.id)
            .bind(digest_bytes(&self.digest))
            .bind(self.after.as_ref().map_or("", Tag::as_str))
            .bind(i64::from(self.limit))
            .bind(repository)
            .fetch_all(&mut *context.connection)
            .await?;
        let is_full = rows.len() == self.limit as usize;
        let (mut tags, mut taken, mut settled, mut last) = (vec![], vec![], vec![], None);
        for (name, present) in rows {
            let tag = parse_tag(&name)?;
            last = Some(tag.clone());
            match present {
                None => tags.push(tag),
                Some(present) if present == manifest => {}
                Some(_) => {
                    taken.push(tag);
                    continue;
                }
            }
            settled.push(name);
        }
        let new: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        sqlx::query(SET_TAGS)
            .bind(self.id)
            .bind(digest_bytes(&self.digest))
            .bind(json(&new)?)
            .bind(json(&settled)?)
            .bind(manifest)
            .bind(repository)
            .bind(context.now)
            .bind(context.record_links)
            .execute(&mut *context.connection)
            .await?;
        Ok((tags, taken, last.filter(|_| is_full)))
    }
}

/// What the manifest needs of what the repository had, and has no longer.
async fn missing(
    context: &mut Context<'_>,
    repository: &str,
    blobs: &KeptReferences,
    manifests: &KeptReferences,
) -> Result<Vec<Digest>, Fault> {
    let rows: Vec<(Vec<u8>,)> = sqlx::query_as(super::manifests::MISSING)
        .bind(repository)
        .bind(json(&blobs.needed())?)
        .bind(json(&manifests.needed())?)
        .fetch_all(&mut *context.connection)
        .await?;
    rows.iter().map(|(bytes,)| encoding::digest(bytes)).collect()
}

pub(super) const FIND_DELETION: &str = "SELECT repository, until FROM deletions WHERE id = $1";

pub(super) const FIND_BOTH: &str = "
    SELECT
        (SELECT id FROM deleted_manifests WHERE deletion_id = $1 AND digest = $2),
        (SELECT m.id FROM repositories r
            JOIN manifests m ON m.repository_id = r.id AND m.digest = $2 WHERE r.name = $3)";

pub(super) const REFERENCES: &str = "SELECT blobs, manifests FROM deleted_manifests WHERE id = $1";

pub(super) const HAS_TAGS: &str =
    "SELECT 1 FROM deleted_tags WHERE deletion_id = $1 AND digest = $2 LIMIT 1";

/// The file of the manifest in a storage tree is none of the garbage any longer.
pub(super) const STORE: &str = "
    DELETE FROM garbage WHERE digest = $3 AND location = '' AND round = 0;
    INSERT INTO repositories (name) VALUES ($2) ON CONFLICT (name) DO NOTHING;
    INSERT INTO outbox (kind, repository, digest) SELECT 'put_manifest', $2, $3 WHERE $4;
    INSERT INTO manifests (
        repository_id, digest, media_type, artifact_type, subject, created_at, annotations, payload
    )
    SELECT r.id, k.digest, k.media_type, k.artifact_type, k.subject, k.created_at, k.annotations,
        k.payload
    FROM repositories r, deleted_manifests k
    WHERE r.name = $2 AND k.id = $1";

pub(super) const FIND_STORED: &str = "
    SELECT id FROM manifests
    WHERE repository_id = (SELECT id FROM repositories WHERE name = $1) AND digest = $2";

pub(super) const REFER: &str = "
    INSERT INTO manifest_blobs (manifest_id, digest, repository_id)
    SELECT $1, unhex(q.value), r.id FROM json_each($2) q, repositories r WHERE r.name = $4
    ON CONFLICT (manifest_id, digest) DO NOTHING;
    INSERT INTO manifest_manifests (manifest_id, digest)
    SELECT $1, unhex(value) FROM json_each($3) WHERE true
    ON CONFLICT (manifest_id, digest) DO NOTHING";

/// The tags of a deletion that pointed to a manifest, each with what it points to now.
pub(super) const TAGS: &str = "
    SELECT d.name, (
        SELECT t.manifest_id FROM repositories r
        JOIN tags t ON t.repository_id = r.id AND t.name = d.name
        WHERE r.name = $5
    )
    FROM deleted_tags d
    WHERE d.deletion_id = $1 AND d.digest = $2 AND d.name > $3
    ORDER BY d.name
    LIMIT $4";

pub(super) const SET_TAGS: &str = "
    INSERT INTO tags (repository_id, name, manifest_id, updated_at)
    SELECT r.id, q.value, $5, $7 FROM repositories r, json_each($3) q WHERE r.name = $6;
    INSERT INTO outbox (kind, repository, digest, tag)
    SELECT 'set_tag', $6, $2, q.value FROM json_each($3) q WHERE $8 ORDER BY q.key;
    DELETE FROM deleted_tags
    WHERE deletion_id = $1 AND digest = $2 AND name IN (SELECT value FROM json_each($4))";

pub(super) const FORGET_EMPTY: &str = "
    DELETE FROM deletions
    WHERE id = $1 AND open = 0
        AND NOT EXISTS (SELECT 1 FROM deleted_manifests m WHERE m.deletion_id = deletions.id)
        AND NOT EXISTS (SELECT 1 FROM deleted_tags t WHERE t.deletion_id = deletions.id)";

/// See [`MetadataStore::forget_deletions`](crate::MetadataStore::forget_deletions).
pub(super) struct Forget {
    pub(super) limit: u32,
}

#[async_trait]
impl Operation for Forget {
    type Output = u64;

    async fn apply(&self, context: &mut Context<'_>) -> Result<u64, Fault> {
        let now = time(context.now)?;
        let rows: Vec<(i64, i64)> = sqlx::query_as(OVER)
            .bind(context.now)
            .bind(i64::from(self.limit))
            .fetch_all(&mut *context.connection)
            .await?;
        let mut left = u64::from(self.limit);
        for (id, until) in rows {
            if lifecycle::may_restore(time(until)?, now) || left == 0 {
                break;
            }
            left = left.saturating_sub(forget(context, id, left).await?);
        }
        Ok(u64::from(self.limit) - left)
    }
}

/// Forgets so much of a deletion. Answers how many rows.
async fn forget(context: &mut Context<'_>, id: i64, limit: u64) -> Result<u64, Fault> {
    let mut forgotten = 0;
    for sql in [FORGET_MANIFESTS, FORGET_TAGS] {
        let rows = sqlx::query(sql)
            .bind(id)
            .bind(i64::try_from(limit - forgotten).unwrap_or(i64::MAX))
            .execute(&mut *context.connection)
            .await?;
        forgotten += rows.rows_affected();
    }
    let last = sqlx::query(FORGET_EMPTY).bind(id).execute(&mut *context.connection).await?;
    Ok(forgotten + last.rows_affected())
}

pub(super) const OVER: &str =
    "SELECT id, until FROM deletions WHERE until <= $1 AND open = 0 ORDER BY until LIMIT $2";

pub(super) const FORGET_MANIFESTS: &str = "
    DELETE FROM deleted_manifests WHERE id IN (
        SELECT id FROM deleted_manifests WHERE deletion_id = $1 LIMIT $2
    )";

pub(super) const FORGET_TAGS: &str = "
    DELETE FROM deleted_tags WHERE deletion_id = $1 AND (digest, name) IN (
        SELECT digest, name FROM deleted_tags WHERE deletion_id = $1 LIMIT $2
    )";
