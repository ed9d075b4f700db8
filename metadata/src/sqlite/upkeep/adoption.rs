//! Taking over a storage tree. Lists go in as JSON, so that one statement serves a batch.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use berth_oci::{Digest, Reference, RepositoryName};
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use crate::encoding::{
    digest_array, digest_bytes, digest_hex, integer, json, lease_end, micros, size,
};
use crate::fault::Fault;
use crate::rows;
use crate::sqlite::cache::Cache;
use crate::sqlite::writer::{Context, Operation};
use crate::sqlite::{eviction, mirrored};
use crate::{
    AdoptedLinks, AdoptedTags, FoundBlob, FoundLink, FoundManifest, FoundTag, ManifestCursor,
    Mirrored, Misfit, Origins, Orphans, UnlinkedReferences,
};

/// See [`AdoptionStore::begin_adoption`](crate::AdoptionStore::begin_adoption).
pub(super) struct Forget;

#[async_trait]
impl Operation for Forget {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let forget = "DELETE FROM found_blobs; DELETE FROM found_tags";
        sqlx::raw_sql(forget).execute(&mut *context.connection).await?;
        Ok(())
    }
}

/// See [`AdoptionStore::found_blobs`](crate::AdoptionStore::found_blobs).
pub(super) struct NoteBlobs(pub(super) Vec<FoundBlob>);

#[async_trait]
impl Operation for NoteBlobs {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let row = |blob: &FoundBlob| -> Result<Value, Fault> {
            let (size, written_at) = (integer(blob.size)?, micros(blob.written_at));
            Ok(json!([digest_hex(&blob.digest), size, written_at, blob.location.0]))
        };
        let rows = self.0.iter().map(row).collect::<Result<Vec<_>, _>>()?;
        sqlx::query(NOTE_BLOBS).bind(json(&rows)?).execute(&mut *context.connection).await?;
        Ok(())
    }
}

const NOTE_BLOBS: &str = "
    INSERT INTO found_blobs (digest, size, written_at, location)
    SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3 FROM json_each($1) WHERE true
    ON CONFLICT (digest) DO NOTHING";

/// See [`AdoptionStore::adopt_links`](crate::AdoptionStore::adopt_links).
pub(super) struct AdoptLinks {
    pub(super) links: Vec<FoundLink>,
    pub(super) lease: Duration,
}

#[async_trait]
impl Operation for AdoptLinks {
    type Output = AdoptedLinks;

    async fn apply(&self, context: &mut Context<'_>) -> Result<AdoptedLinks, Fault> {
        let row = |link: &FoundLink| {
            let (repository, digest) = (link.repository.as_str(), digest_hex(&link.digest));
            json!([repository, digest, micros(link.written_at), !link.in_tree])
        };
        let rows = json(&self.links.iter().map(row).collect::<Vec<_>>())?;
        sqlx::query(ADOPT_BLOBS)
            .bind(rows.as_str())
            .bind(context.record_links)
            .execute(&mut *context.connection)
            .await?;
        let linked = sqlx::query(ADOPT_LINKS)
            .bind(rows.as_str())
            .bind(lease_end(context.now, self.lease))
            .execute(&mut *context.connection)
            .await?;
        let missing: Vec<i64> =
            sqlx::query_scalar(WITHOUT_BLOB).bind(rows).fetch_all(&mut *context.connection).await?;
        let without_blob = missing.into_iter().map(|place| at(&self.links, place));
        let without_blob = without_blob.collect::<Result<_, _>>()?;
        Ok(AdoptedLinks { new: linked.rows_affected(), without_blob })
    }
}

/// What a statement has told the place of in the list that it was given.
fn at<T: Clone>(list: &[T], place: i64) -> Result<T, Fault> {
    let found = usize::try_from(place).ok().and_then(|place| list.get(place));
    found.cloned().ok_or(Fault::Malformed("place"))
}

/// `CROSS JOIN` keeps SQLite to this order of tables: from the batch to what it names. Bytes whose removal
/// was begun may be gone by now, so they are left alone.
pub(in crate::sqlite) const ADOPT_BLOBS: &str = "
    INSERT INTO blobs (digest, size, location, created_at)
    SELECT f.digest, f.size, f.location, f.written_at
    FROM json_each($1) q CROSS JOIN found_blobs f ON f.digest = unhex(q.value ->> 1)
    WHERE NOT EXISTS (
        SELECT 1 FROM garbage g
        WHERE g.digest = f.digest AND g.location = f.location AND g.round > 0
    )
    ON CONFLICT (digest) DO NOTHING;
    DELETE FROM garbage WHERE id IN (
        SELECT g.id
        FROM json_each($1) q
        CROSS JOIN blobs b ON b.digest = unhex(q.value ->> 1)
        CROSS JOIN garbage g ON g.digest = b.digest AND g.location = b.location
        WHERE g.round = 0
    );
    INSERT INTO repositories (name)
    SELECT DISTINCT q.value ->> 0
    FROM json_each($1) q CROSS JOIN blobs b ON b.digest = unhex(q.value ->> 1)
    WHERE true
    ON CONFLICT (name) DO NOTHING;
    INSERT INTO outbox (kind, repository, digest)
    SELECT 'link_blob', r.name, b.digest
    FROM json_each($1) q
    CROSS JOIN repositories r ON r.name = q.value ->> 0
    CROSS JOIN blobs b ON b.digest = unhex(q.value ->> 1)
    WHERE $2 AND q.value ->> 3 AND NOT EXISTS (
        SELECT 1 FROM repository_blobs l WHERE l.repository_id = r.id AND l.blob_id = b.id
    )";

pub(in crate::sqlite) const ADOPT_LINKS: &str = "
    INSERT INTO repository_blobs (repository_id, blob_id, linked_at, leased_until, review_at)
    SELECT r.id, b.id, q.value ->> 2, $2, $2
    FROM json_each($1) q
    CROSS JOIN repositories r ON r.name = q.value ->> 0
    CROSS JOIN blobs b ON b.digest = unhex(q.value ->> 1)
    WHERE true
    ON CONFLICT (repository_id, blob_id) DO NOTHING";

pub(in crate::sqlite) const WITHOUT_BLOB: &str = "
    SELECT q.key FROM json_each($1) q
    WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = unhex(q.value ->> 1))
    ORDER BY q.key";

pub(super) async fn unknown_manifests(
    connection: &mut SqliteConnection,
    manifests: &[(RepositoryName, Digest)],
) -> Result<Vec<(RepositoryName, Digest)>, Fault> {
    let row = |(repository, digest): &(RepositoryName, Digest)| {
        json!([repository.as_str(), digest_hex(digest)])
    };
    let rows = json(&manifests.iter().map(row).collect::<Vec<_>>())?;
    let unknown: Vec<i64> =
        sqlx::query_scalar(UNKNOWN_MANIFESTS).bind(rows).fetch_all(connection).await?;
    unknown.into_iter().map(|place| at(manifests, place)).collect()
}

pub(in crate::sqlite) const UNKNOWN_MANIFESTS: &str = "
    SELECT q.key FROM json_each($1) q
    WHERE NOT EXISTS (
        SELECT 1 FROM repositories r
        JOIN manifests m ON m.repository_id = r.id AND m.digest = unhex(q.value ->> 1)
        WHERE r.name = q.value ->> 0
    )
    ORDER BY q.key";

/// See [`AdoptionStore::adopt_manifests`](crate::AdoptionStore::adopt_manifests).
pub(super) struct AdoptManifests(pub(super) Vec<FoundManifest>);

#[async_trait]
impl Operation for AdoptManifests {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        for found in &self.0 {
            adopt_manifest(context.connection, found).await?;
            if let Some(Mirrored::Fetched { prefix, .. }) = &found.manifest.mirrored {
                eviction::note_adopted(context, &found.manifest, prefix).await?;
            }
        }
        let sizes = self.0.iter().flat_map(|found| &found.sizes);
        let sizes: Vec<_> = sizes.map(|(digest, size)| (digest_hex(digest), size)).collect();
        sqlx::query(NOTE_MISFITS).bind(json(&sizes)?).execute(&mut *context.connection).await?;
        Ok(())
    }
}

async fn adopt_manifest(
    connection: &mut SqliteConnection,
    FoundManifest { manifest, written_at, .. }: &FoundManifest,
) -> Result<(), Fault> {
    let annotations = manifest.annotations.as_ref().map(serde_json::to_string).transpose();
    sqlx::query(ADOPT_MANIFEST)
        .bind(manifest.repository.as_str())
        .bind(digest_bytes(&manifest.digest))
        .bind(manifest.media_type.as_str())
        .bind(manifest.artifact_type.as_deref())
        .bind(manifest.subject.as_ref().map(digest_bytes))
        .bind(micros(*written_at))
        .bind(annotations.map_err(|_| Fault::Malformed("set of annotations"))?)
        .bind(manifest.payload.as_ref())
        .bind(digest_array(manifest.blobs.iter().map(|(digest, _)| digest)))
        .bind(digest_array(manifest.manifests.iter().map(|(digest, _)| digest)))
        .execute(connection)
        .await?;
    Ok(())
}

pub(in crate::sqlite) const ADOPT_MANIFEST: &str = "
    DELETE FROM garbage WHERE digest = $2 AND location = '' AND round = 0;
    INSERT INTO repositories (name) VALUES ($1) ON CONFLICT (name) DO NOTHING;
    INSERT INTO manifests (
        repository_id, digest, media_type, artifact_type, subject, created_at, annotations, payload
    )
    SELECT r.id, $2, $3, $4, $5, $6, $7, $8 FROM repositories r WHERE r.name = $1
    ON CONFLICT (repository_id, digest) DO NOTHING;
    INSERT INTO manifest_blobs (manifest_id, digest, repository_id)
    SELECT m.id, unhex(q.value), r.id
    FROM repositories r
    JOIN manifests m ON m.repository_id = r.id AND m.digest = $2
    CROSS JOIN json_each($9) q
    WHERE r.name = $1
    ON CONFLICT (manifest_id, digest) DO NOTHING;
    INSERT INTO manifest_manifests (manifest_id, digest)
    SELECT m.id, unhex(q.value)
    FROM repositories r
    JOIN manifests m ON m.repository_id = r.id AND m.digest = $2
    CROSS JOIN json_each($10) q
    WHERE r.name = $1
    ON CONFLICT (manifest_id, digest) DO NOTHING";

pub(in crate::sqlite) const NOTE_MISFITS: &str = "
    INSERT INTO misfits (digest, expected, found)
    SELECT f.digest, q.value ->> 1, f.size
    FROM json_each($1) q CROSS JOIN found_blobs f ON f.digest = unhex(q.value ->> 0)
    WHERE f.size <> q.value ->> 1
    ON CONFLICT (digest) DO NOTHING";

pub(super) async fn misfits(
    connection: &mut SqliteConnection,
    limit: u32,
) -> Result<Vec<Misfit>, Fault> {
    let rows: Vec<(Vec<u8>, i64, i64)> =
        sqlx::query_as(MISFITS).bind(i64::from(limit)).fetch_all(connection).await?;
    rows.into_iter().map(rows::misfit).collect()
}

/// Any digest is greater than no bytes, which makes it a search by the key.
pub(in crate::sqlite) const MISFITS: &str =
    "SELECT digest, expected, found FROM misfits WHERE digest > x'' ORDER BY digest LIMIT $1";

/// See [`AdoptionStore::forget_misfits`](crate::AdoptionStore::forget_misfits).
pub(super) struct ForgetMisfits(pub(super) Vec<Misfit>);

#[async_trait]
impl Operation for ForgetMisfits {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        sqlx::query(FORGET_MISFITS)
            .bind(digest_array(self.0.iter().map(|misfit| &misfit.digest)))
            .execute(&mut *context.connection)
            .await?;
        Ok(())
    }
}

pub(in crate::sqlite) const FORGET_MISFITS: &str =
    "DELETE FROM misfits WHERE digest IN (SELECT unhex(q.value) FROM json_each($1) q)";

/// See [`AdoptionStore::found_tags`](crate::AdoptionStore::found_tags).
pub(super) struct NoteTags(pub(super) Vec<FoundTag>);

#[async_trait]
impl Operation for NoteTags {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let row = |found: &FoundTag| {
            let (repository, tag) = (found.repository.as_str(), found.tag.as_str());
            json!([repository, tag, digest_hex(&found.digest), micros(found.written_at)])
        };
        let rows = json(&self.0.iter().map(row).collect::<Vec<_>>())?;
        sqlx::query(NOTE_TAGS).bind(rows).execute(&mut *context.connection).await?;
        Ok(())
    }
}

const NOTE_TAGS: &str = "
    INSERT INTO found_tags (repository, name, digest, written_at)
    SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3 FROM json_each($1) WHERE true
    ON CONFLICT (repository, name) DO NOTHING";

/// See [`AdoptionStore::adopt_tags`](crate::AdoptionStore::adopt_tags).
pub(super) struct AdoptTags {
    pub(super) limit: u32,
    pub(super) origins: Origins,
}

pub(super) struct Adopted {
    pub(super) answer: AdoptedTags,
    tags: Vec<FoundTag>,
}

#[async_trait]
impl Operation for AdoptTags {
    type Output = Adopted;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Adopted, Fault> {
        let limit = i64::from(self.limit);
        let rows: Vec<(String, String, Vec<u8>, i64, bool)> =
            sqlx::query_as(NEXT_TAGS).bind(limit).fetch_all(&mut *context.connection).await?;
        let set: Vec<(String, String)> =
            sqlx::query_as(ADOPT_TAGS).bind(limit).fetch_all(&mut *context.connection).await?;
        let new = set.len() as u64;
        sqlx::query(FORGET_TAGS).bind(limit).execute(&mut *context.connection).await?;
        let mut answer = AdoptedTags { new, ..AdoptedTags::default() };
        let mut tags = Vec::with_capacity(rows.len());
        let set: HashSet<_> = set.into_iter().collect();
        for (repository, tag, digest, written_at, is_here) in rows {
            let found = rows::found_tag(&repository, &tag, &digest, written_at)?;
            if set.contains(&(repository, tag))
                && let Some(Mirrored::Fetched { upstream, .. }) = self.origins.of(&found.repository)
            {
                mirrored::note_unchecked(context, &found, &upstream).await?;
            }
            answer.looked_at += 1;
            match is_here {
                true => tags.push(found),
                false => answer.dangling.push(found),
            }
        }
        Ok(Adopted { answer, tags })
    }

    fn invalidate(&self, adopted: &Adopted, cache: &Cache) {
        for found in &adopted.tags {
            cache.manifest_changed(&found.repository, &Reference::Tag(found.tag.clone()));
        }
    }
}

pub(in crate::sqlite) const NEXT_TAGS: &str = "
    SELECT f.repository, f.name, f.digest, f.written_at, EXISTS (
        SELECT 1 FROM repositories r
        JOIN manifests m ON m.repository_id = r.id AND m.digest = f.digest
        WHERE r.name = f.repository
    )
    FROM found_tags f ORDER BY f.repository, f.name LIMIT $1";

pub(in crate::sqlite) const ADOPT_TAGS: &str = "
    INSERT INTO tags (repository_id, name, manifest_id, updated_at)
    SELECT r.id, f.name, m.id, f.written_at
    FROM (SELECT * FROM found_tags ORDER BY repository, name LIMIT $1) f
    CROSS JOIN repositories r ON r.name = f.repository
    CROSS JOIN manifests m ON m.repository_id = r.id AND m.digest = f.digest
    WHERE NOT EXISTS (
        SELECT 1 FROM deleted_tags t JOIN deletions d ON d.id = t.deletion_id
        WHERE t.repository = f.repository AND t.name = f.name AND d.deleted_at >= f.written_at
    )
    ON CONFLICT (repository_id, name) DO UPDATE SET
        manifest_id = excluded.manifest_id, updated_at = excluded.updated_at
    WHERE manifest_id <> excluded.manifest_id AND updated_at < excluded.updated_at
    RETURNING (SELECT r.name FROM repositories r WHERE r.id = repository_id), name";

const FORGET_TAGS: &str = "
    DELETE FROM found_tags WHERE (repository, name) IN (
        SELECT repository, name FROM found_tags ORDER BY repository, name LIMIT $1
    )";

/// Manifest, repository, its digest, and the blob; no blob in the last row.
type ReferenceRow = (i64, Option<String>, Option<Vec<u8>>, Option<Vec<u8>>);

pub(super) async fn unlinked_references(
    connection: &mut SqliteConnection,
    after: Option<ManifestCursor>,
    limit: u32,
) -> Result<UnlinkedReferences, Fault> {
    let rows: Vec<ReferenceRow> = sqlx::query_as(UNLINKED_REFERENCES)
        .bind(after.map_or(0, |after| after.0))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    let mut page = UnlinkedReferences::default();
    for (id, repository, manifest, blob) in rows {
        if let (Some(repository), Some(manifest), Some(blob)) = (repository, manifest, blob) {
            page.references.push(rows::unlinked_reference(&repository, &manifest, &blob)?);
        } else {
            page.next = Some(ManifestCursor(id));
        }
    }
    Ok(page)
}

/// The last row tells of the last manifest that was looked at.
pub(in crate::sqlite) const UNLINKED_REFERENCES: &str = "
    WITH looked_at AS (
        SELECT id, repository_id, digest FROM manifests WHERE id > $1 ORDER BY id LIMIT $2
    )
    SELECT looked_at.id, r.name, looked_at.digest, q.digest
    FROM looked_at
    CROSS JOIN manifest_blobs q ON q.manifest_id = looked_at.id
    CROSS JOIN repositories r ON r.id = looked_at.repository_id
    WHERE NOT EXISTS (
        SELECT 1 FROM blobs b
        JOIN repository_blobs l ON l.blob_id = b.id AND l.repository_id = looked_at.repository_id
        WHERE b.digest = q.digest
    )
    UNION ALL
    SELECT max(id), NULL, NULL, NULL FROM looked_at HAVING max(id) IS NOT NULL";

pub(super) async fn orphans(connection: &mut SqliteConnection) -> Result<Orphans, Fault> {
    let (count, bytes): (i64, i64) = sqlx::query_as(ORPHANS).fetch_one(connection).await?;
    Ok(Orphans { count: size(count)?, bytes: size(bytes)? })
}

pub(in crate::sqlite) const ORPHANS: &str = "
    SELECT count(*), coalesce(sum(size), 0) FROM found_blobs f
    WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = f.digest)
        AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.digest = f.digest)";
