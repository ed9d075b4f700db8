use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use berth_oci::{Digest, Reference, RepositoryName, Tag};
use bytes::Bytes;
use serde::Serialize;
use sqlx::SqliteConnection;

use super::cache::Cache;
use super::writer::{Context, Operation};
use super::{eviction, mirrored};
use crate::encoding::{self, digest_array, digest_bytes, json};
use crate::fault::Fault;
use crate::{ManifestRecord, Mirrored, NewManifest, PutManifest};

pub(super) async fn find(
    connection: &mut SqliteConnection,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<Arc<ManifestRecord>>, Fault> {
    let query = match reference {
        Reference::Tag(tag) => {
            sqlx::query_as(FIND_BY_TAG).bind(repository.as_str()).bind(tag.as_str())
        }
        Reference::Digest(digest) => {
            sqlx::query_as(FIND_BY_DIGEST).bind(repository.as_str()).bind(digest_bytes(digest))
        }
    };
    let row: Option<(Vec<u8>, String, Vec<u8>)> = query.fetch_optional(connection).await?;
    row.map(|(digest, media_type, payload)| record(&digest, media_type, payload)).transpose()
}

/// Finds many at once. The answers stand in the order of the keys.
pub(super) async fn find_many<'a>(
    connection: &mut SqliteConnection,
    keys: impl Iterator<Item = (&'a RepositoryName, &'a Reference)>,
) -> Result<Vec<Option<Arc<ManifestRecord>>>, Fault> {
    let keys: Vec<Key> =
        keys.map(|(repository, reference)| Key::of(repository, reference)).collect();
    let sought = json(&keys)?;
    let rows: Vec<(i64, Vec<u8>, String, Vec<u8>)> =
        sqlx::query_as(FIND_MANY).bind(sought).fetch_all(connection).await?;
    let mut found = vec![None; keys.len()];
    for (place, digest, media_type, payload) in rows {
        let place = usize::try_from(place).ok().and_then(|place| found.get_mut(place));
        *place.ok_or(Fault::Malformed("place"))? = Some(record(&digest, media_type, payload)?);
    }
    Ok(found)
}

/// A repository with a tag or a digest, as [`FIND_MANY`] reads them.
#[derive(Serialize)]
struct Key<'a>(&'a str, Option<&'a str>, Option<String>);

impl<'a> Key<'a> {
    fn of(repository: &'a RepositoryName, reference: &'a Reference) -> Self {
        match reference {
            Reference::Tag(tag) => Self(repository.as_str(), Some(tag.as_str()), None),
            Reference::Digest(digest) => {
                Self(repository.as_str(), None, Some(encoding::digest_hex(digest)))
            }
        }
    }
}

fn record(
    digest: &[u8],
    media_type: String,
    payload: Vec<u8>,
) -> Result<Arc<ManifestRecord>, Fault> {
    let digest = encoding::digest(digest)?;
    Ok(Arc::new(ManifestRecord { digest, media_type, payload: Bytes::from(payload) }))
}

pub(super) const FIND_BY_TAG: &str = "
    SELECT m.digest, m.media_type, m.payload
    FROM repositories r
    JOIN tags t ON t.repository_id = r.id AND t.name = $2
    JOIN manifests m ON m.id = t.manifest_id
    WHERE r.name = $1";

pub(super) const FIND_BY_DIGEST: &str = "
    SELECT m.digest, m.media_type, m.payload
    FROM repositories r
    JOIN manifests m ON m.repository_id = r.id AND m.digest = $2
    WHERE r.name = $1";

/// `CROSS JOIN` keeps SQLite to this order of tables: from what is sought to what is found.
pub(super) const FIND_MANY: &str = "
    SELECT q.key, m.digest, m.media_type, m.payload
    FROM json_each($1) q
    CROSS JOIN repositories r ON r.name = q.value ->> 0
    CROSS JOIN tags t ON t.repository_id = r.id AND t.name = q.value ->> 1
    CROSS JOIN manifests m ON m.id = t.manifest_id
    WHERE q.value ->> 1 IS NOT NULL
    UNION ALL
    SELECT q.key, m.digest, m.media_type, m.payload
    FROM json_each($1) q
    CROSS JOIN repositories r ON r.name = q.value ->> 0
    CROSS JOIN manifests m ON m.repository_id = r.id AND m.digest = unhex(q.value ->> 2)
    WHERE q.value ->> 2 IS NOT NULL";

/// See [`MetadataStore::put_manifest`](crate::MetadataStore::put_manifest).
pub(super) struct Put(pub(super) NewManifest);

/// How a push of a manifest ended.
pub(super) enum Outcome {
    Missing(Vec<Digest>),
    Immutable(Tag),
    Stored {
        /// Tags that pointed to the manifest when it had another media type.
        retyped: Vec<Tag>,
    },
}

impl From<Outcome> for PutManifest {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Missing(missing) => Self::Missing(missing),
            Outcome::Immutable(tag) => Self::Immutable(tag),
            Outcome::Stored { .. } => Self::Stored,
        }
    }
}

#[async_trait]
impl Operation for Put {
    type Output = Outcome;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Outcome, Fault> {
        let missing = self.missing(context.connection).await?;
        if !missing.is_empty() {
            return Ok(Outcome::Missing(missing));
        }
        if let Some(tag) = self.moved_immutable_tag(context.connection).await? {
            return Ok(Outcome::Immutable(tag));
        }
        let was_here = match &self.0.mirrored {
            Some(Mirrored::Fetched { .. }) => eviction::is_here(context, &self.0).await?,
            _ => false,
        };
        let (id, retyped) = self.store(context).await?;
        self.refer_and_tag(context, id).await?;
        match &self.0.mirrored {
            Some(Mirrored::Fetched { upstream, prefix }) => {
                mirrored::note(context, &self.0, upstream).await?;
                eviction::note_fetched(context, id, prefix, !was_here).await?;
            }
            Some(Mirrored::Pushed) => eviction::note_pushed(context, id).await?,
            None => {}
        }
        if self.0.tags.is_empty() {
            self.note_push_again(context, id).await?;
        }
        context.events.extend_from_slice(&self.0.events);
        Ok(Outcome::Stored { retyped })
    }

    fn invalidate(&self, outcome: &Outcome, cache: &Cache) {
        let Outcome::Stored { retyped } = outcome else { return };
        let Self(manifest) = self;
        let digest = Reference::Digest(manifest.digest);
        cache.manifest_changed(&manifest.repository, &digest);
        for tag in manifest.tags.iter().chain(retyped) {
            cache.manifest_changed(&manifest.repository, &Reference::Tag(tag.clone()));
        }
    }
}

impl Put {
    /// The required references that the repository does not have.
    async fn missing(&self, connection: &mut SqliteConnection) -> Result<Vec<Digest>, Fault> {
        let required = |references: &[(Digest, bool)]| {
            digest_array(references.iter().filter(|(_, required)| *required).map(|(d, _)| d))
        };
        let rows: Vec<(Vec<u8>,)> = sqlx::query_as(MISSING)
            .bind(self.0.repository.as_str())
            .bind(required(&self.0.blobs))
            .bind(required(&self.0.manifests))
            .fetch_all(connection)
            .await?;
        let mut seen = HashSet::new();
        let missing = rows.iter().map(|(bytes,)| encoding::digest(bytes));
        missing.filter(|digest| digest.as_ref().map_or(true, |d| seen.insert(*d))).collect()
    }

    /// The first of the immutable tags that points to another manifest.
    async fn moved_immutable_tag(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<Option<Tag>, Fault> {
        let Self(manifest) = self;
        for tag in &manifest.immutable_tags {
            let digest: Option<Vec<u8>> = sqlx::query_scalar(FIND_DIGEST)
                .bind(manifest.repository.as_str())
                .bind(tag.as_str())
                .fetch_optional(&mut *connection)
                .await?;
            if digest.is_some_and(|digest| digest != digest_bytes(&manifest.digest)) {
                return Ok(Some(tag.clone()));
            }
        }
        Ok(None)
    }

    /// A manifest that was there and is pushed without a tag counts as untagged from now on.
    async fn note_push_again(&self, context: &mut Context<'_>, id: i64) -> Result<(), Fault> {
        sqlx::query(NOTE_PUSH_AGAIN)
            .bind(id)
            .bind(context.now)
            .execute(&mut *context.connection)
            .await?;
        Ok(())
    }

    /// Writes the manifest itself. Answers its id, and the tags whose answers change because the
    /// manifest was known under another media type.
    async fn store(&self, context: &mut Context<'_>) -> Result<(i64, Vec<Tag>), Fault> {
        let Self(manifest) = self;
        let annotations = manifest.annotations.as_ref().map(serde_json::to_string).transpose();
        let rows: Vec<(Option<i64>, Option<String>)> = sqlx::query_as(STORE)
            .bind(manifest.repository.as_str())
            .bind(digest_bytes(&manifest.digest))
            .bind(manifest.media_type.as_str())
            .bind(manifest.artifact_type.as_deref())
            .bind(manifest.subject.as_ref().map(digest_bytes))
            .bind(context.now)
            .bind(annotations.map_err(|_| Fault::Malformed("set of annotations"))?)
            .bind(manifest.payload.as_ref())
            .bind(context.record_links)
            .fetch_all(&mut *context.connection)
            .await?;
        let id = rows.iter().find_map(|(id, _)| *id).ok_or(Fault::Malformed("manifest"))?;
        let retyped = rows.into_iter().filter_map(|(_, tag)| tag);
        Ok((id, parse_tags(retyped)?))
    }

    /// Writes what the manifest references, and points its tags to it.
    async fn refer_and_tag(&self, context: &mut Context<'_>, id: i64) -> Result<(), Fault> {
        let Self(manifest) = self;
        let tags: Vec<&str> = manifest.tags.iter().map(Tag::as_str).collect();
        let tags = json(&tags)?;
        sqlx::query(REFER_AND_TAG)
            .bind(id)
            .bind(digest_array(manifest.blobs.iter().map(|(digest, _)| digest)))
            .bind(digest_array(manifest.manifests.iter().map(|(digest, _)| digest)))
            .bind(tags)
            .bind(manifest.repository.as_str())
            .bind(digest_bytes(&manifest.digest))
            .bind(context.now)
            .bind(context.record_links)
            .execute(&mut *context.connection)
            .await?;
        Ok(())
    }
}

pub(super) const MISSING: &str = "
    SELECT unhex(required.value) FROM json_each($2) AS required
    WHERE NOT EXISTS (
        SELECT 1 FROM repositories r
        JOIN blobs b ON b.digest = unhex(required.value)
        JOIN repository_blobs l ON l.repository_id = r.id AND l.blob_id = b.id
        WHERE r.name = $1
    )
    ORDER BY required.key;
    SELECT unhex(required.value) FROM json_each($3) AS required
    WHERE NOT EXISTS (
        SELECT 1 FROM repositories r
        JOIN manifests m ON m.repository_id = r.id AND m.digest = unhex(required.value)
        WHERE r.name = $1
    )
    ORDER BY required.key";

/// The time `$time` of a push, later in any case than the beginning of a deletion of the repository `r`
/// that is going on: what is pushed since then stays.
macro_rules! after_deletion {
    ($time:literal) => {
        concat!(
            "max(",
            $time,
            ", coalesce((
                SELECT d.since + 1 FROM deleted_repositories d WHERE d.repository_id = r.id
            ), 0))"
        )
    };
}

/// Whether the repository of the row that is inserted is being deleted.
macro_rules! is_being_deleted {
    () => {
        "EXISTS (
            SELECT 1 FROM deleted_repositories d
            WHERE d.repository_id = excluded.repository_id AND d.since > 0
        )"
    };
}

/// The same bytes pushed again with another media type take on that type and what follows from it.
pub(super) const STORE: &str = concat!(
    "
    DELETE FROM garbage WHERE digest = $2 AND location = '' AND round = 0;
    SELECT NULL, t.name
    FROM repositories r
    JOIN manifests m ON m.repository_id = r.id AND m.digest = $2 AND m.media_type <> $3
    JOIN tags t ON t.manifest_id = m.id
    WHERE r.name = $1;
    INSERT INTO repositories (name) VALUES ($1) ON CONFLICT (name) DO NOTHING;
    INSERT INTO outbox (kind, repository, digest)
    SELECT 'put_manifest', $1, $2
    WHERE $9 AND NOT EXISTS (
        SELECT 1 FROM manifests
        WHERE repository_id = (SELECT id FROM repositories WHERE name = $1) AND digest = $2
    );
    INSERT INTO manifests (
        repository_id, digest, media_type, artifact_type, subject, created_at, annotations, payload
    )
    SELECT r.id, $2, $3, $4, $5, ",
    after_deletion!("$6"),
    ", $7, $8 FROM repositories r WHERE r.name = $1
    ON CONFLICT (repository_id, digest) DO UPDATE SET
        media_type = excluded.media_type,
        artifact_type = excluded.artifact_type,
        subject = excluded.subject,
        annotations = excluded.annotations,
        created_at = CASE WHEN ",
    is_being_deleted!(),
    " THEN excluded.created_at ELSE created_at END
    WHERE media_type <> excluded.media_type OR ",
    is_being_deleted!(),
    ";
    SELECT id, NULL FROM manifests
    WHERE repository_id = (SELECT id FROM repositories WHERE name = $1) AND digest = $2"
);

pub(super) const REFER_AND_TAG: &str = concat!(
    "
    INSERT INTO manifest_blobs (manifest_id, digest, repository_id)
    SELECT $1, unhex(q.value), r.id FROM json_each($2) q, repositories r WHERE r.name = $5
    ON CONFLICT (manifest_id, digest) DO NOTHING;
    INSERT INTO manifest_manifests (manifest_id, digest)
    SELECT $1, unhex(value) FROM json_each($3) WHERE true
    ON CONFLICT (manifest_id, digest) DO NOTHING;
    INSERT INTO outbox (kind, repository, digest, tag)
    SELECT 'set_tag', $5, $6, tag.value FROM json_each($4) AS tag
    WHERE $8 AND NOT EXISTS (
        SELECT 1 FROM tags
        WHERE repository_id = (SELECT id FROM repositories WHERE name = $5)
            AND name = tag.value AND manifest_id = $1
    )
    ORDER BY tag.key;
    INSERT INTO tags (repository_id, name, manifest_id, updated_at)
    SELECT r.id, tag.value, $1, ",
    after_deletion!("$7"),
    " FROM repositories r, json_each($4) AS tag WHERE r.name = $5
    ON CONFLICT (repository_id, name) DO UPDATE SET
        manifest_id = excluded.manifest_id, updated_at = excluded.updated_at"
);

pub(super) const FIND_DIGEST: &str = "
    SELECT m.digest
    FROM repositories r
    JOIN tags t ON t.repository_id = r.id AND t.name = $2
    JOIN manifests m ON m.id = t.manifest_id
    WHERE r.name = $1";

pub(super) const NOTE_PUSH_AGAIN: &str = "
    INSERT INTO manifest_times (manifest_id, untagged_at)
    SELECT id, $2 FROM manifests WHERE id = $1 AND created_at < $2
    ON CONFLICT (manifest_id) DO UPDATE SET untagged_at = excluded.untagged_at";

fn parse_tags(names: impl Iterator<Item = String>) -> Result<Vec<Tag>, Fault> {
    names.map(|name| name.parse().map_err(|_| Fault::Malformed("tag"))).collect()
}
