use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use berth_oci::{Digest, Reference, RepositoryName, Tag};
use bytes::Bytes;

use super::engine::{Context, Operation};
use super::session::Session;
use super::{eviction, mirrored, now, outbox, repositories};
use crate::encoding::{self, digest_bytes};
use crate::fault::Fault;
use crate::{ManifestRecord, Mirrored, NewManifest, PutManifest};

/// A manifest to look up.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) repository: RepositoryName,
    pub(super) reference: Reference,
    /// What the reference named before: where it still does, its bytes are not read again.
    pub(super) known: Option<Arc<ManifestRecord>>,
}

impl Key {
    fn tag(&self) -> Option<&str> {
        match &self.reference {
            Reference::Tag(tag) => Some(tag.as_str()),
            Reference::Digest(_) => None,
        }
    }

    fn digest(&self) -> Option<Vec<u8>> {
        match &self.reference {
            Reference::Tag(_) => None,
            Reference::Digest(digest) => Some(digest_bytes(digest)),
        }
    }
}

/// Place, digest, media type, and the payload unless it is that of the known manifest.
type Row = (i64, Vec<u8>, String, Option<Vec<u8>>);

/// Finds many at once. The answers stand in the order of the keys.
pub(super) async fn find_many(
    session: &mut Session,
    keys: &[Key],
) -> Result<Vec<Option<Arc<ManifestRecord>>>, Fault> {
    let repositories: Vec<&str> = keys.iter().map(|key| key.repository.as_str()).collect();
    let tags: Vec<Option<&str>> = keys.iter().map(Key::tag).collect();
    let digests: Vec<Option<Vec<u8>>> = keys.iter().map(Key::digest).collect();
    let known: Vec<Option<Vec<u8>>> = keys
        .iter()
        .map(|key| key.known.as_ref().map(|known| digest_bytes(&known.digest)))
        .collect();
    let rows: Vec<Row> = session
        .query_as(FIND_MANY)
        .bind(repositories)
        .bind(tags)
        .bind(digests)
        .bind(known)
        .fetch_all(session.connection())
        .await?;
    let mut found = vec![None; keys.len()];
    for (place, digest, media_type, payload) in rows {
        let place = usize::try_from(place - 1).ok().filter(|place| *place < keys.len());
        let place = place.ok_or(Fault::Malformed("place"))?;
        found[place] = Some(record(&keys[place], &digest, media_type, payload)?);
    }
    Ok(found)
}

fn record(
    key: &Key,
    digest: &[u8],
    media_type: String,
    payload: Option<Vec<u8>>,
) -> Result<Arc<ManifestRecord>, Fault> {
    let payload = match (payload, &key.known) {
        (Some(payload), _) => Bytes::from(payload),
        (None, Some(known)) if known.media_type == media_type => return Ok(Arc::clone(known)),
        (None, Some(known)) => known.payload.clone(),
        (None, None) => return Err(Fault::Malformed("manifest")),
    };
    let digest = encoding::digest(digest)?;
    Ok(Arc::new(ManifestRecord { digest, media_type, payload }))
}

/// `LATERAL` with a limit has the server look up one key after the other, by index.
pub(super) const FIND_MANY: &str = "
    SELECT q.place, m.digest, m.media_type, CASE WHEN m.digest = q.known THEN NULL ELSE m.payload END
    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[])
        WITH ORDINALITY AS q (repository, tag, digest, known, place)
    CROSS JOIN LATERAL (
        (
            SELECT m.digest, m.media_type, m.payload
            FROM repositories r
            JOIN tags t ON t.repository_id = r.id AND t.name = q.tag
            JOIN manifests m ON m.id = t.manifest_id
            WHERE r.name = q.repository AND q.tag IS NOT NULL
            LIMIT 1
        )
        UNION ALL
        (
            SELECT m.digest, m.media_type, m.payload
            FROM repositories r
            JOIN manifests m ON m.repository_id = r.id AND m.digest = q.digest
            WHERE r.name = q.repository AND q.digest IS NOT NULL
            LIMIT 1
        )
        LIMIT 1
    ) m";

/// See [`MetadataStore::put_manifest`](crate::MetadataStore::put_manifest).
pub(super) struct Put(pub(super) NewManifest);

#[async_trait]
impl Operation for Put {
    type Output = PutManifest;

    async fn apply(&self, context: &mut Context<'_>) -> Result<PutManifest, Fault> {
        let missing = self.missing(context.session).await?;
        if !missing.is_empty() {
            return Ok(PutManifest::Missing(missing));
        }
        let Self(manifest) = self;
        let repository = repositories::make(context.session, manifest.repository.as_str()).await?;
        let stored = self.store(context, repository).await?;
        if stored.is_new {
            if context.has_files {
                context
                    .session
                    .query(KEEP_FILE)
                    .bind(digest_bytes(&manifest.digest))
                    .execute(context.session.connection())
                    .await?;
            }
            let digest = Some(&manifest.digest);
            outbox::record(context, "put_manifest", &manifest.repository, digest, None).await?;
            self.refer(context.session, repository, stored.id).await?;
        }
        self.tag(context, repository, stored.id).await?;
        match &manifest.mirrored {
            Some(Mirrored::Fetched { prefix, .. }) => {
                eviction::note_fetched(context.session, stored.id, prefix, stored.is_new).await?;
            }
            Some(Mirrored::Pushed) => eviction::note_pushed(context.session, stored.id).await?,
            None => {}
        }
        if manifest.tags.is_empty() && !stored.is_new {
            self.note_push_again(context.session, stored.id).await?;
        }
        context.events.extend_from_slice(&manifest.events);
        Ok(PutManifest::Stored)
    }
}

/// The row of a manifest.
struct Stored {
    id: i64,
    is_new: bool,
}

impl Put {
    /// The required references that the repository does not have. Those that it has stay until the
    /// manifest stands.
    async fn missing(&self, session: &mut Session) -> Result<Vec<Digest>, Fault> {
        let Self(manifest) = self;
        let name = manifest.repository.as_str();
        let mut missing = Vec::new();
        for (sought, sql) in [(&manifest.blobs, HOLD_BLOBS), (&manifest.manifests, HOLD_MANIFESTS)]
        {
            if sought.is_empty() {
                continue;
            }
            // What is not required is held too, where it is there.
            let digests: Vec<Vec<u8>> =
                sought.iter().map(|(digest, _)| digest_bytes(digest)).collect();
            let held: Vec<Vec<u8>> = session
                .query_scalar(sql)
                .bind(name)
                .bind(digests)
                .fetch_all(session.connection())
                .await?;
            let held: HashSet<Digest> =
                held.iter().map(|bytes| encoding::digest(bytes)).collect::<Result<_, _>>()?;
            let required =
                sought.iter().filter(|(_, required)| *required).map(|(digest, _)| *digest);
            missing.extend(required.filter(|digest| !held.contains(digest)));
        }
        let mut seen = HashSet::new();
        missing.retain(|digest| seen.insert(*digest));
        Ok(missing)
    }

    /// Writes the manifest itself, and locks its row.
    async fn store(&self, context: &mut Context<'_>, repository: i64) -> Result<Stored, Fault> {
        let Self(manifest) = self;
        let digest = digest_bytes(&manifest.digest);
        let annotations = manifest.annotations.as_ref().map(serde_json::to_string).transpose();
        let row: Option<(i64, bool)> = context
            .session
            .query_as(STORE)
            .bind(repository)
            .bind(digest.as_slice())
            .bind(manifest.media_type.as_str())
            .bind(manifest.artifact_type.as_deref())
            .bind(manifest.subject.as_ref().map(digest_bytes))
            .bind(annotations.map_err(|_| Fault::Malformed("set of annotations"))?)
            .bind(manifest.payload.as_ref())
            .fetch_optional(context.session.connection())
            .await?;
        if let Some((id, is_new)) = row {
            return Ok(Stored { id, is_new });
        }
        let id = context
            .session
            .query_scalar("SELECT id FROM manifests WHERE repository_id = $1 AND digest = $2")
            .bind(repository)
            .bind(digest)
            .fetch_one(context.session.connection())
            .await?;
        Ok(Stored { id, is_new: false })
    }

    /// Writes what the manifest references: what follows from its bytes, so once.
    async fn refer(&self, session: &mut Session, repository: i64, id: i64) -> Result<(), Fault> {
        let Self(manifest) = self;
        for (references, sql) in
            [(&manifest.blobs, REFER_TO_BLOBS), (&manifest.manifests, REFER_TO_MANIFESTS)]
        {
            if references.is_empty() {
                continue;
            }
            let digests: Vec<Vec<u8>> =
                references.iter().map(|(digest, _)| digest_bytes(digest)).collect();
            let query = session.query(sql).bind(id).bind(digests).bind(repository);
            query.execute(session.connection()).await?;
        }
        Ok(())
    }

    /// A manifest that was there and is pushed without a tag counts as untagged from now on.
    async fn note_push_again(&self, session: &mut Session, id: i64) -> Result<(), Fault> {
        session.query(NOTE_PUSH_AGAIN).bind(id).execute(session.connection()).await?;
        Ok(())
    }

    /// Points the tags to the manifest, in one order for everybody, so that no two pushes wait for
    /// each other. An immutable tag that it has moved by that is put back, with all else.
    async fn tag(&self, context: &mut Context<'_>, repository: i64, id: i64) -> Result<(), Fault> {
        let Self(manifest) = self;
        let mut tags: Vec<&Tag> = manifest.tags.iter().collect();
        tags.sort_unstable_by_key(|tag| tag.as_str());
        let mut moved = HashSet::new();
        for tag in tags {
            let pointed: Option<bool> = context
                .session
                .query_scalar(POINT)
                .bind(repository)
                .bind(tag.as_str())
                .bind(id)
                .fetch_optional(context.session.connection())
                .await?;
            match pointed {
                Some(false) if manifest.immutable_tags.contains(tag) => {
                    return Err(Fault::TagStays(tag.clone()));
                }
                Some(_) => drop(moved.insert(tag)),
                None => self.note_tag_again(context.session, repository, tag, id).await?,
            }
            if let Some(Mirrored::Fetched { upstream, .. }) = &manifest.mirrored {
                self.note_mirrored(context.session, repository, tag, upstream).await?;
            }
        }
        for tag in manifest.tags.iter().filter(|tag| moved.remove(*tag)) {
            let digest = Some(&manifest.digest);
            outbox::record(context, "set_tag", &manifest.repository, digest, Some(tag)).await?;
        }
        Ok(())
    }

    async fn note_mirrored(
        &self,
        session: &mut Session,
        repository: i64,
        tag: &Tag,
        upstream: &str,
    ) -> Result<(), Fault> {
        session
            .query(mirrored::NOTE)
            .bind(repository)
            .bind(tag.as_str())
            .bind(digest_bytes(&self.0.digest))
            .bind(upstream)
            .execute(session.connection())
            .await?;
        Ok(())
    }

    /// A tag that points to the manifest already was pushed all the same.
    async fn note_tag_again(
        &self,
        session: &mut Session,
        repository: i64,
        tag: &Tag,
        id: i64,
    ) -> Result<(), Fault> {
        session
            .query(POINT_AGAIN)
            .bind(repository)
            .bind(tag.as_str())
            .bind(id)
            .execute(session.connection())
            .await?;
        Ok(())
    }
}

/// Locks are taken in the order of the ids.
pub(super) const HOLD_BLOBS: &str = "
    SELECT b.digest
    FROM repositories r
    JOIN repository_blobs l ON l.repository_id = r.id
    JOIN blobs b ON b.id = l.blob_id
    WHERE r.name = $1 AND b.digest = ANY($2)
    ORDER BY b.id
    FOR KEY SHARE OF l";

pub(super) const HOLD_MANIFESTS: &str = "
    SELECT m.digest
    FROM repositories r
    JOIN manifests m ON m.repository_id = r.id
    WHERE r.name = $1 AND m.digest = ANY($2)
    ORDER BY m.id
    FOR KEY SHARE OF m";

/// The time of a push into the repository `$1`, later in any case than the beginning of a deletion of it
/// that is going on: what is pushed since then stays.
macro_rules! time_of_push {
    () => {
        concat!(
            "greatest(",
            now!(),
            ", (SELECT d.since + 1 FROM deleted_repositories d WHERE d.repository_id = $1))"
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

/// The same bytes pushed again with another media type take on that type and what follows from it;
/// pushed again just so they answer nothing, and the row is locked all the same. A row that was not
/// there before has not been locked by anybody.
pub(super) const STORE: &str = concat!(
    "INSERT INTO manifests AS m (
        repository_id, digest, media_type, artifact_type, subject, annotations, payload, created_at
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, ",
    time_of_push!(),
    ") ON CONFLICT (repository_id, digest) DO UPDATE SET
        media_type = excluded.media_type,
        artifact_type = excluded.artifact_type,
        subject = excluded.subject,
        annotations = excluded.annotations,
        created_at = CASE WHEN ",
    is_being_deleted!(),
    " THEN excluded.created_at ELSE m.created_at END
    WHERE m.media_type <> excluded.media_type OR ",
    is_being_deleted!(),
    " RETURNING id, xmax = 0"
);

pub(super) const REFER_TO_BLOBS: &str = "
    INSERT INTO manifest_blobs (manifest_id, digest, repository_id)
    SELECT $1, unnest($2::bytea[]), $3
    ON CONFLICT (manifest_id, digest) DO NOTHING";

pub(super) const REFER_TO_MANIFESTS: &str = "
    INSERT INTO manifest_manifests (manifest_id, digest)
    SELECT $1, unnest($2::bytea[]) WHERE $3::bigint IS NOT NULL
    ON CONFLICT (manifest_id, digest) DO NOTHING";

/// Tells whether it is a new tag; nothing, where it points there already.
pub(super) const POINT: &str = concat!(
    "INSERT INTO tags AS t (repository_id, name, manifest_id, updated_at) VALUES ($1, $2, $3, ",
    time_of_push!(),
    ") ON CONFLICT (repository_id, name) DO UPDATE SET
        manifest_id = excluded.manifest_id, updated_at = excluded.updated_at
    WHERE t.manifest_id <> excluded.manifest_id OR ",
    is_being_deleted!(),
    " RETURNING xmax = 0"
);

pub(super) const POINT_AGAIN: &str = concat!(
    "UPDATE tags SET updated_at = ",
    now!(),
    " WHERE repository_id = $1 AND name = $2 AND manifest_id = $3"
);

const NOTE_PUSH_AGAIN: &str = concat!(
    "INSERT INTO manifest_times (manifest_id, untagged_at) VALUES ($1, ",
    now!(),
    ") ON CONFLICT (manifest_id) DO UPDATE SET untagged_at = excluded.untagged_at"
);

/// The file of a manifest is none of the garbage any longer. Who begins to remove it at this moment is waited
/// for, so that the links, which follow this, find it at it.
pub(super) const KEEP_FILE: &str =
    "DELETE FROM garbage WHERE digest = $1 AND location = '' AND held_until = 0 AND gone = 0";
