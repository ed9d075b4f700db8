//! Taking over a storage tree. Lists go in as arrays, so that one statement serves a batch.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName};

use crate::encoding::{digest_bytes, duration, integer, micros, size};
use crate::fault::Fault;
use crate::postgres::engine::{Context, Operation};
use crate::postgres::session::Session;
use crate::postgres::{eviction, manifests, mirrored, now, repositories};
use crate::rows;
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
        context.session.execute("TRUNCATE found_blobs, found_tags").await
    }
}

/// See [`AdoptionStore::found_blobs`](crate::AdoptionStore::found_blobs).
pub(super) struct NoteBlobs(pub(super) Vec<FoundBlob>);

#[async_trait]
impl Operation for NoteBlobs {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let Self(blobs) = self;
        let sizes = blobs.iter().map(|blob| integer(blob.size)).collect::<Result<Vec<_>, _>>()?;
        context
            .session
            .query(NOTE_BLOBS)
            .bind(blobs.iter().map(|blob| digest_bytes(&blob.digest)).collect::<Vec<_>>())
            .bind(sizes)
            .bind(blobs.iter().map(|blob| micros(blob.written_at)).collect::<Vec<_>>())
            .bind(blobs.iter().map(|blob| blob.location.0.as_str()).collect::<Vec<_>>())
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}

const NOTE_BLOBS: &str = "
    INSERT INTO found_blobs (digest, size, written_at, location)
    SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::text[])
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
        let digests: Vec<_> = self.links.iter().map(|link| digest_bytes(&link.digest)).collect();
        let names: Vec<_> = self.links.iter().map(|link| link.repository.as_str()).collect();
        for statement in [ADOPT_BLOBS, KEEP_BYTES] {
            let query = context.session.query(statement).bind(digests.as_slice());
            query.execute(context.session.connection()).await?;
        }
        let query = context.session.query(MAKE_REPOSITORIES);
        let query = query.bind(names.as_slice()).bind(digests.as_slice());
        query.execute(context.session.connection()).await?;
        let linked: Vec<i64> = context
            .session
            .query_scalar(ADOPT_LINKS)
            .bind(names.as_slice())
            .bind(digests.as_slice())
            .bind(self.links.iter().map(|link| micros(link.written_at)).collect::<Vec<_>>())
            .bind(duration(self.lease))
            .bind(self.links.iter().map(|link| !link.in_tree).collect::<Vec<_>>())
            .bind(context.record_links)
            .fetch_all(context.session.connection())
            .await?;
        let missing: Vec<i64> = context
            .session
            .query_scalar(WITHOUT_BLOB)
            .bind(digests)
            .fetch_all(context.session.connection())
            .await?;
        let without_blob = missing.into_iter().map(|place| at(&self.links, place));
        let without_blob = without_blob.collect::<Result<_, _>>()?;
        Ok(AdoptedLinks { new: linked.len() as u64, without_blob })
    }
}

/// What a statement has told the place of, from 1, in the list that it was given.
fn at<T: Clone>(list: &[T], place: i64) -> Result<T, Fault> {
    let found = usize::try_from(place - 1).ok().and_then(|place| list.get(place));
    found.cloned().ok_or(Fault::Malformed("place"))
}

/// Rows are made in one order by everybody. Bytes whose removal was begun may be gone by now, so they are
/// left alone.
const ADOPT_BLOBS: &str = "
    INSERT INTO blobs (digest, size, location, created_at)
    SELECT f.digest, f.size, f.location, f.written_at
    FROM found_blobs f
    WHERE f.digest = ANY($1) AND NOT EXISTS (
        SELECT 1 FROM garbage g
        WHERE g.digest = f.digest AND g.location = f.location AND g.round > 0
    ) AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = f.digest)
    ORDER BY f.digest
    ON CONFLICT (digest) DO NOTHING";

const KEEP_BYTES: &str = "
    DELETE FROM garbage g USING blobs b
    WHERE b.digest = ANY($1) AND g.digest = b.digest AND g.location = b.location AND g.round = 0";

const MAKE_REPOSITORIES: &str = "
    INSERT INTO repositories (name)
    SELECT DISTINCT q.name
    FROM unnest($1::text[], $2::bytea[]) AS q (name, digest)
    JOIN blobs b ON b.digest = q.digest
    WHERE NOT EXISTS (SELECT 1 FROM repositories r WHERE r.name = q.name)
    ORDER BY q.name
    ON CONFLICT (name) DO NOTHING";

const ADOPT_LINKS: &str = concat!(
    "WITH linked AS (
        INSERT INTO repository_blobs (repository_id, blob_id, linked_at, leased_until, review_at)
        SELECT DISTINCT ON (r.id, b.id) r.id, b.id, q.written_at, t.now + $4, t.now + $4
        FROM unnest($1::text[], $2::bytea[], $3::bigint[]) AS q (name, digest, written_at)
        JOIN repositories r ON r.name = q.name
        JOIN blobs b ON b.digest = q.digest
        CROSS JOIN (SELECT ",
    now!(),
    " AS now) t
        ORDER BY r.id, b.id
        ON CONFLICT (repository_id, blob_id) DO NOTHING
        RETURNING repository_id, blob_id
    ), recorded AS (
        INSERT INTO outbox (kind, repository, digest)
        SELECT 'link_blob', r.name, b.digest
        FROM linked l
        JOIN repositories r ON r.id = l.repository_id
        JOIN blobs b ON b.id = l.blob_id
        JOIN unnest($1::text[], $2::bytea[], $5::boolean[]) AS q (name, digest, is_new)
            ON q.name = r.name AND q.digest = b.digest AND q.is_new
        WHERE $6
    )
    SELECT blob_id FROM linked"
);

const WITHOUT_BLOB: &str = "
    SELECT q.place FROM unnest($1::bytea[]) WITH ORDINALITY AS q (digest, place)
    WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = q.digest)
    ORDER BY q.place";

pub(super) async fn unknown_manifests(
    session: &mut Session,
    manifests: &[(RepositoryName, Digest)],
) -> Result<Vec<(RepositoryName, Digest)>, Fault> {
    let names: Vec<_> = manifests.iter().map(|(repository, _)| repository.as_str()).collect();
    let digests: Vec<_> = manifests.iter().map(|(_, digest)| digest_bytes(digest)).collect();
    let unknown: Vec<i64> = session
        .query_scalar(UNKNOWN_MANIFESTS)
        .bind(names)
        .bind(digests)
        .fetch_all(session.connection())
        .await?;
    unknown.into_iter().map(|place| at(manifests, place)).collect()
}

const UNKNOWN_MANIFESTS: &str = "
    SELECT q.place
    FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS q (name, digest, place)
    WHERE NOT EXISTS (
        SELECT 1 FROM repositories r
        JOIN manifests m ON m.repository_id = r.id AND m.digest = q.digest
        WHERE r.name = q.name
    )
    ORDER BY q.place";

/// See [`AdoptionStore::adopt_manifests`](crate::AdoptionStore::adopt_manifests).
pub(super) struct AdoptManifests(pub(super) Vec<FoundManifest>);

#[async_trait]
impl Operation for AdoptManifests {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        for found in &self.0 {
            adopt_manifest(context.session, found).await?;
            if let Some(Mirrored::Fetched { prefix, .. }) = &found.manifest.mirrored {
                eviction::note_adopted(context.session, &found.manifest, prefix).await?;
            }
        }
        let sizes = || self.0.iter().flat_map(|found| &found.sizes);
        let expected = sizes().map(|(_, size)| integer(*size)).collect::<Result<Vec<_>, _>>()?;
        context
            .session
            .query(NOTE_MISFITS)
            .bind(sizes().map(|(digest, _)| digest_bytes(digest)).collect::<Vec<_>>())
            .bind(expected)
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}

async fn adopt_manifest(
    session: &mut Session,
    FoundManifest { manifest, written_at, .. }: &FoundManifest,
) -> Result<(), Fault> {
    let repository = repositories::make(session, manifest.repository.as_str()).await?;
    let annotations = manifest.annotations.as_ref().map(serde_json::to_string).transpose();
    session
        .query(manifests::KEEP_FILE)
        .bind(digest_bytes(&manifest.digest))
        .execute(session.connection())
        .await?;
    let digests = |list: &[(Digest, bool)]| -> Vec<Vec<u8>> {
        list.iter().map(|(digest, _)| digest_bytes(digest)).collect()
    };
    session
        .query(ADOPT_MANIFEST)
        .bind(repository)
        .bind(digest_bytes(&manifest.digest))
        .bind(manifest.media_type.as_str())
        .bind(manifest.artifact_type.as_deref())
        .bind(manifest.subject.as_ref().map(digest_bytes))
        .bind(annotations.map_err(|_| Fault::Malformed("set of annotations"))?)
        .bind(manifest.payload.as_ref())
        .bind(micros(*written_at))
        .bind(digests(&manifest.blobs))
        .bind(digests(&manifest.manifests))
        .execute(session.connection())
        .await?;
    Ok(())
}

const ADOPT_MANIFEST: &str = "
    WITH adopted AS (
        INSERT INTO manifests (
            repository_id, digest, media_type, artifact_type, subject, annotations, payload, created_at
        ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (repository_id, digest) DO NOTHING
        RETURNING id
    ), to_blobs AS (
        INSERT INTO manifest_blobs (manifest_id, digest, repository_id)
        SELECT DISTINCT id, q.digest, $1::bigint FROM adopted, unnest($9::bytea[]) AS q (digest)
    )
    INSERT INTO manifest_manifests (manifest_id, digest)
    SELECT DISTINCT id, q.digest FROM adopted, unnest($10::bytea[]) AS q (digest)";

const NOTE_MISFITS: &str = "
    INSERT INTO misfits (digest, expected, found)
    SELECT f.digest, q.size, f.size
    FROM unnest($1::bytea[], $2::bigint[]) AS q (digest, size)
    JOIN found_blobs f ON f.digest = q.digest
    WHERE f.size <> q.size
    ON CONFLICT (digest) DO NOTHING";

pub(super) async fn misfits(session: &mut Session, limit: u32) -> Result<Vec<Misfit>, Fault> {
    let rows: Vec<(Vec<u8>, i64, i64)> =
        session.query_as(MISFITS).bind(i64::from(limit)).fetch_all(session.connection()).await?;
    rows.into_iter().map(rows::misfit).collect()
}

const MISFITS: &str = "SELECT digest, expected, found FROM misfits ORDER BY digest LIMIT $1";

/// See [`AdoptionStore::forget_misfits`](crate::AdoptionStore::forget_misfits).
pub(super) struct ForgetMisfits(pub(super) Vec<Misfit>);

#[async_trait]
impl Operation for ForgetMisfits {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let digests: Vec<_> = self.0.iter().map(|misfit| digest_bytes(&misfit.digest)).collect();
        context
            .session
            .query("DELETE FROM misfits WHERE digest = ANY($1)")
            .bind(digests)
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}

/// See [`AdoptionStore::found_tags`](crate::AdoptionStore::found_tags).
pub(super) struct NoteTags(pub(super) Vec<FoundTag>);

#[async_trait]
impl Operation for NoteTags {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let Self(tags) = self;
        context
            .session
            .query(NOTE_TAGS)
            .bind(tags.iter().map(|found| found.repository.as_str()).collect::<Vec<_>>())
            .bind(tags.iter().map(|found| found.tag.as_str()).collect::<Vec<_>>())
            .bind(tags.iter().map(|found| digest_bytes(&found.digest)).collect::<Vec<_>>())
            .bind(tags.iter().map(|found| micros(found.written_at)).collect::<Vec<_>>())
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}

const NOTE_TAGS: &str = "
    INSERT INTO found_tags (repository, name, digest, written_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[])
    ON CONFLICT (repository, name) DO NOTHING";

/// See [`AdoptionStore::adopt_tags`](crate::AdoptionStore::adopt_tags).
pub(super) struct AdoptTags {
    pub(super) limit: u32,
    pub(super) origins: Origins,
}

#[async_trait]
impl Operation for AdoptTags {
    type Output = AdoptedTags;

    async fn apply(&self, context: &mut Context<'_>) -> Result<AdoptedTags, Fault> {
        let limit = i64::from(self.limit);
        let rows: Vec<(String, String, Vec<u8>, i64, bool)> = context
            .session
            .query_as(NEXT_TAGS)
            .bind(limit)
            .fetch_all(context.session.connection())
            .await?;
        let mut adopted = AdoptedTags { looked_at: rows.len() as u64, ..AdoptedTags::default() };
        let set: Vec<(String, String)> = context
            .session
            .query_as(ADOPT_TAGS)
            .bind(limit)
            .fetch_all(context.session.connection())
            .await?;
        let forget = context.session.query(FORGET_TAGS).bind(limit);
        forget.execute(context.session.connection()).await?;
        adopted.new = set.len() as u64;
        let set: HashSet<_> = set.into_iter().collect();
        for (repository, tag, digest, written_at, is_here) in rows {
            let found = rows::found_tag(&repository, &tag, &digest, written_at)?;
            if set.contains(&(repository, tag))
                && let Some(Mirrored::Fetched { upstream, .. }) = self.origins.of(&found.repository)
            {
                mirrored::note_unchecked(context.session, &found, &upstream).await?;
            }
            if !is_here {
                adopted.dangling.push(found);
            }
        }
        Ok(adopted)
    }
}

const NEXT_TAGS: &str = "
    SELECT f.repository, f.name, f.digest, f.written_at, EXISTS (
        SELECT 1 FROM repositories r
        JOIN manifests m ON m.repository_id = r.id AND m.digest = f.digest
        WHERE r.name = f.repository
    )
    FROM found_tags f ORDER BY f.repository, f.name LIMIT $1";

const ADOPT_TAGS: &str = "
    INSERT INTO tags AS t (repository_id, name, manifest_id, updated_at)
    SELECT r.id, f.name, m.id, f.written_at
    FROM (SELECT * FROM found_tags ORDER BY repository, name LIMIT $1) f
    JOIN repositories r ON r.name = f.repository
    JOIN manifests m ON m.repository_id = r.id AND m.digest = f.digest
    WHERE NOT EXISTS (
        SELECT 1 FROM deleted_tags t JOIN deletions d ON d.id = t.deletion_id
        WHERE t.repository = f.repository AND t.name = f.name AND d.deleted_at >= f.written_at
    )
    ORDER BY r.id, f.name
    ON CONFLICT (repository_id, name) DO UPDATE SET
        manifest_id = excluded.manifest_id, updated_at = excluded.updated_at
    WHERE t.manifest_id <> excluded.manifest_id AND t.updated_at < excluded.updated_at
    RETURNING (SELECT r.name FROM repositories r WHERE r.id = t.repository_id), t.name";

const FORGET_TAGS: &str = "
    DELETE FROM found_tags WHERE (repository, name) IN (
        SELECT repository, name FROM found_tags ORDER BY repository, name LIMIT $1
    )";

/// Manifest, repository, its digest, and the blob; no blob in the last row.
type ReferenceRow = (i64, Option<String>, Option<Vec<u8>>, Option<Vec<u8>>);

pub(super) async fn unlinked_references(
    session: &mut Session,
    after: Option<ManifestCursor>,
    limit: u32,
) -> Result<UnlinkedReferences, Fault> {
    let rows: Vec<ReferenceRow> = session
        .query_as(UNLINKED_REFERENCES)
        .bind(after.map_or(0, |after| after.0))
        .bind(i64::from(limit))
        .fetch_all(session.connection())
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
const UNLINKED_REFERENCES: &str = "
    WITH looked_at AS (
        SELECT id, repository_id, digest FROM manifests WHERE id > $1 ORDER BY id LIMIT $2
    )
    SELECT m.id, r.name, m.digest, q.digest
    FROM looked_at m
    JOIN manifest_blobs q ON q.manifest_id = m.id
    JOIN repositories r ON r.id = m.repository_id
    WHERE NOT EXISTS (
        SELECT 1 FROM blobs b
        JOIN repository_blobs l ON l.blob_id = b.id AND l.repository_id = m.repository_id
        WHERE b.digest = q.digest
    )
    UNION ALL
    SELECT max(id), NULL, NULL, NULL FROM looked_at HAVING max(id) IS NOT NULL";

pub(super) async fn orphans(session: &mut Session) -> Result<Orphans, Fault> {
    let (count, bytes): (i64, i64) =
        session.query_as(ORPHANS).fetch_one(session.connection()).await?;
    Ok(Orphans { count: size(count)?, bytes: size(bytes)? })
}

const ORPHANS: &str = "
    SELECT count(*), coalesce(sum(size), 0)::bigint FROM found_blobs f
    WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = f.digest)
        AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.digest = f.digest)";
