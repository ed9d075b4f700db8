//! What rows mean, in whichever database they stand.

use std::time::SystemTime;

use berth_oci::{Digest, LinkChange, Reference, RepositoryName, Tag, UploadId};
use bytes::Bytes;

use crate::encoding::{self, algorithm, size, time};
use crate::fault::Fault;
use crate::lifecycle::{self, Garbage, Link, Removal, Verdict};
use crate::{
    BlobCursor, BlobLocation, BlobRecord, CollectionBacklog, DamagedBlob, DeletedManifest,
    Deletion, DeletionId, DueLink, FoundTag, GarbageId, LinkCursor, Misfit, NamedBlob, Referrer,
    Standing, TakenGarbage, TreeCursor, TreeEntry, UnlinkedReference, Upload, Usage,
};

/// Id, repository, algorithm, offset, hash state, handle, and when it was opened and last moved.
pub(crate) type UploadRow = (Vec<u8>, String, i64, i64, Vec<u8>, String, i64, i64);

pub(crate) fn upload(row: UploadRow) -> Result<Upload, Fault> {
    let (id, repository, code, received, hash_state, handle, started_at, updated_at) = row;
    Ok(Upload {
        id: UploadId::from_bytes(&id).ok_or(Fault::Malformed("upload session"))?,
        repository: name(&repository)?,
        algorithm: algorithm(code)?,
        offset: size(received)?,
        hash_state,
        handle,
        started_at: time(started_at)?,
        updated_at: time(updated_at)?,
    })
}

/// Digest, media type, size, artifact type, annotations.
pub(crate) type ReferrerRow = (Vec<u8>, String, i64, Option<String>, Option<String>);

pub(crate) fn referrer(row: ReferrerRow) -> Result<Referrer, Fault> {
    let (digest, media_type, bytes, artifact_type, annotations) = row;
    let annotations = annotations.map(|json| serde_json::from_str(&json)).transpose();
    Ok(Referrer {
        digest: encoding::digest(&digest)?,
        media_type,
        size: size(bytes)?,
        artifact_type,
        annotations: annotations.map_err(|_| Fault::Malformed("set of annotations"))?,
    })
}

/// Id, kind, repository, digest, tag; and of what is there by now the blob's size and location, the media
/// type, and when it was written.
pub(crate) type OutboxRow = (
    i64,
    String,
    String,
    Option<Vec<u8>>,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<i64>,
);

/// What the database says by now of what an entry tells of.
pub(crate) fn standing(row: &OutboxRow) -> Result<Option<Standing>, Fault> {
    let (_, _, _, digest, _, bytes, location, media_type, written_at) = row;
    let Some(written_at) = *written_at else { return Ok(None) };
    let blob = match (digest, *bytes, location) {
        (Some(digest), Some(bytes), Some(location)) => Some(BlobRecord {
            digest: encoding::digest(digest)?,
            size: size(bytes)?,
            location: BlobLocation(location.clone()),
        }),
        _ => None,
    };
    Ok(Some(Standing { written_at: time(written_at)?, blob, media_type: media_type.clone() }))
}

/// The statement that both engines list the outbox with.
pub(crate) mod outbox_sql {
    /// Entries without their manifest do not count, so that a full list of them cannot look like the
    /// end.
    pub(crate) const LIST: &str = "
        SELECT o.id, o.kind, o.repository, o.digest, o.tag, b.size, b.location, m.media_type,
            coalesce(l.linked_at, m.created_at, t.updated_at)
        FROM outbox o
        LEFT JOIN repositories r ON r.name = o.repository
        LEFT JOIN manifests m
            ON o.kind = 'put_manifest' AND m.repository_id = r.id AND m.digest = o.digest
        LEFT JOIN blobs b ON o.kind = 'link_blob' AND b.digest = o.digest
        LEFT JOIN repository_blobs l ON l.repository_id = r.id AND l.blob_id = b.id
        LEFT JOIN tags t ON o.kind = 'set_tag' AND t.repository_id = r.id AND t.name = o.tag
        WHERE o.kind <> 'put_manifest' OR m.id IS NOT NULL
        ORDER BY o.id
        LIMIT $1";
}

/// An entry of the outbox, before the manifest that it may tell of is read.
pub(crate) struct Recorded {
    kind: String,
    repository: RepositoryName,
    digest: Option<Digest>,
    tag: Option<Tag>,
}

impl Recorded {
    pub(crate) fn of(row: OutboxRow) -> Result<Self, Fault> {
        let (_, kind, repository, digest, tag, ..) = row;
        let tag = tag.map(|tag| tag.parse()).transpose();
        Ok(Self {
            kind,
            repository: name(&repository)?,
            digest: digest.as_deref().map(encoding::digest).transpose()?,
            tag: tag.map_err(|_| Fault::Malformed("tag"))?,
        })
    }

    /// The manifest whose payload is a part of the change.
    pub(crate) fn manifest(&self) -> Option<(&RepositoryName, &Digest)> {
        let digest = self.digest.as_ref().filter(|_| self.kind == "put_manifest")?;
        Some((&self.repository, digest))
    }

    /// The change; `None` when it tells of a manifest that has gone since.
    pub(crate) fn change(self, payload: Option<Bytes>) -> Result<Option<LinkChange>, Fault> {
        let Self { kind, repository, digest, tag } = self;
        let digest = || digest.ok_or(Fault::Malformed("digest"));
        let tag = || tag.ok_or(Fault::Malformed("tag"));
        Ok(Some(match kind.as_str() {
            "link_blob" => LinkChange::LinkBlob { repository, digest: digest()? },
            "unlink_blob" => LinkChange::UnlinkBlob { repository, digest: digest()? },
            "put_manifest" => {
                let Some(payload) = payload else { return Ok(None) };
                LinkChange::PutManifest { repository, digest: digest()?, payload }
            }
            "delete_manifest" => LinkChange::DeleteManifest { repository, digest: digest()? },
            "set_tag" => LinkChange::SetTag { repository, digest: digest()?, tag: tag()? },
            "delete_tag" => LinkChange::DeleteTag { repository, tag: tag()? },
            _ => return Err(Fault::Malformed("outbox entry")),
        }))
    }
}

/// When garbage may be removed, how often that was begun, until when somebody is at it, and whether
/// it is gone.
pub(crate) type GarbageRow = (i64, i64, i64, i64);

pub(crate) fn garbage(row: GarbageRow) -> Result<Garbage, Fault> {
    let (remove_at, round, held_until, gone) = row;
    let round = size(round)?;
    let removal = match (round, held_until, gone) {
        (0, ..) => Removal::Waiting,
        (_, _, 1) => Removal::Gone { round },
        (_, 0, _) => Removal::Failed { round },
        _ => Removal::Running { round, until: time(held_until)? },
    };
    Ok(Garbage { remove_at: time(remove_at)?, removal })
}

/// What is read of a link that is to be looked at: the fields of [`LinkRow`].
pub(crate) type LinkColumns = (i64, i64, i64, String, Vec<u8>, i64, i64, bool, bool);

/// A link that is to be looked at.
pub(crate) struct LinkRow {
    pub(crate) review_at: i64,
    pub(crate) repository_id: i64,
    pub(crate) blob_id: i64,
    pub(crate) repository: String,
    pub(crate) digest: Vec<u8>,
    pub(crate) size: i64,
    pub(crate) leased_until: i64,
    pub(crate) pinned: bool,
    pub(crate) is_last: bool,
}

impl From<LinkColumns> for LinkRow {
    fn from(columns: LinkColumns) -> Self {
        let (
            review_at,
            repository_id,
            blob_id,
            repository,
            digest,
            size,
            leased_until,
            pinned,
            is_last,
        ) = columns;
        Self {
            review_at,
            repository_id,
            blob_id,
            repository,
            digest,
            size,
            leased_until,
            pinned,
            is_last,
        }
    }
}

impl LinkRow {
    pub(crate) fn verdict(&self, now: SystemTime) -> Result<Verdict, Fault> {
        let link = Link { pinned: self.pinned, leased_until: time(self.leased_until)? };
        Ok(lifecycle::review(link, now))
    }

    pub(crate) fn due(self, now: SystemTime) -> Result<DueLink, Fault> {
        Ok(DueLink {
            cursor: LinkCursor {
                review_at: self.review_at,
                repository: self.repository_id,
                blob: self.blob_id,
            },
            verdict: self.verdict(now)?,
            repository: name(&self.repository)?,
            digest: encoding::digest(&self.digest)?,
            size: size(self.size)?,
            is_last: self.is_last,
        })
    }
}

/// The id of garbage, and its [`GarbageRow`].
pub(crate) type TimedRow = (i64, i64, i64, i64, i64);

/// Those that a collector may remove now.
pub(crate) fn removable(rows: Vec<TimedRow>, now: SystemTime) -> Result<Vec<i64>, Fault> {
    let mut ids = Vec::with_capacity(rows.len());
    for (id, remove_at, round, held_until, gone) in rows {
        if lifecycle::may_remove(garbage((remove_at, round, held_until, gone))?, now) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Those that can be forgotten.
pub(crate) fn forgettable(rows: Vec<TimedRow>, now: SystemTime) -> Result<Vec<i64>, Fault> {
    let mut ids = Vec::with_capacity(rows.len());
    for (id, remove_at, round, held_until, gone) in rows {
        if lifecycle::may_forget(garbage((remove_at, round, held_until, gone))?, now) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Id, digest, size, location and round.
pub(crate) type TakenRow = (i64, Vec<u8>, i64, String, i64);

pub(crate) fn taken(row: TakenRow) -> Result<TakenGarbage, Fault> {
    let (id, digest, bytes, location, round) = row;
    let digest = encoding::digest(&digest)?;
    let blob = BlobRecord { digest, size: size(bytes)?, location: BlobLocation(location) };
    Ok(TakenGarbage { id: GarbageId { row: id, round: size(round)? }, blob })
}

pub(crate) fn backlog(row: (Option<i64>, Option<i64>)) -> Result<CollectionBacklog, Fault> {
    let (link, garbage) = row;
    Ok(CollectionBacklog {
        link: link.map(time).transpose()?,
        garbage: garbage.map(time).transpose()?,
    })
}

/// Id, repository, digest, tag, the times of the deletion and its end, whether there is more to do, and
/// the numbers of manifests and tags.
pub(crate) type DeletionRow =
    (i64, String, Option<Vec<u8>>, Option<String>, i64, i64, bool, i64, i64);

pub(crate) fn deletion(row: DeletionRow) -> Result<Deletion, Fault> {
    let (id, repository, digest, tag, deleted_at, until, is_open, manifests, tags) = row;
    let digest = digest.as_deref().map(encoding::digest).transpose()?.map(Reference::Digest);
    let tag: Option<Tag> =
        tag.map(|tag| tag.parse().map_err(|_| Fault::Malformed("tag"))).transpose()?;
    Ok(Deletion {
        id: DeletionId(id),
        repository: name(&repository)?,
        reference: digest.or(tag.map(Reference::Tag)),
        deleted_at: time(deleted_at)?,
        until: time(until)?,
        is_open,
        manifests: size(manifests)?,
        tags: size(tags)?,
    })
}

/// Digest, and whether it names manifests.
pub(crate) type DeletedRow = (Vec<u8>, i64);

pub(crate) fn deleted(row: DeletedRow) -> Result<DeletedManifest, Fault> {
    let (digest, is_index) = row;
    Ok(DeletedManifest { digest: encoding::digest(&digest)?, is_index: is_index != 0 })
}

/// The references of a manifest that can be had back: digests as hexadecimal text, each with 1 where
/// the repository had the content.
pub(crate) struct KeptReferences(Vec<(String, u8)>);

impl KeptReferences {
    pub(crate) fn parse(json: &str) -> Result<Self, Fault> {
        serde_json::from_str(json).map(Self).map_err(|_| Fault::Malformed("list of references"))
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<&str> {
        self.0.iter().map(|(digest, _)| digest.as_str()).collect()
    }

    /// Those that the repository had.
    pub(crate) fn needed(&self) -> Vec<&str> {
        self.0.iter().filter(|(_, had)| *had == 1).map(|(digest, _)| digest.as_str()).collect()
    }
}

/// Prefix, bytes, manifests, tags, and whether the blob that was asked for is among them.
pub(crate) type UsageRow = (String, i64, i64, i64, bool);

pub(crate) fn usage(row: UsageRow) -> Result<Usage, Fault> {
    let (prefix, bytes, manifests, tags, has_blob) = row;
    let prefix = if prefix.is_empty() { "*" } else { &prefix };
    Ok(Usage {
        prefix: prefix.parse().map_err(|_| Fault::Malformed("prefix"))?,
        bytes: size(bytes)?,
        manifests: size(manifests)?,
        tags: size(tags)?,
        has_blob,
    })
}

pub(crate) fn name(text: &str) -> Result<RepositoryName, Fault> {
    text.parse().map_err(|_| Fault::Malformed("repository name"))
}

/// The rows of tries, and their rounds.
pub(crate) fn tries(ids: &[GarbageId]) -> Result<(Vec<i64>, Vec<i64>), Fault> {
    let row = |id: &GarbageId| Ok((id.row, encoding::integer(id.round)?));
    ids.iter().map(row).collect()
}

pub(crate) fn found_tag(
    repository: &str,
    tag: &str,
    digest: &[u8],
    written_at: i64,
) -> Result<FoundTag, Fault> {
    Ok(FoundTag {
        repository: name(repository)?,
        tag: tag.parse().map_err(|_| Fault::Malformed("tag"))?,
        digest: encoding::digest(digest)?,
        written_at: time(written_at)?,
    })
}

pub(crate) fn misfit((digest, expected, found): (Vec<u8>, i64, i64)) -> Result<Misfit, Fault> {
    let digest = encoding::digest(&digest)?;
    Ok(Misfit { digest, expected: size(expected)?, found: size(found)? })
}

pub(crate) fn unlinked_reference(
    repository: &str,
    manifest: &[u8],
    blob: &[u8],
) -> Result<UnlinkedReference, Fault> {
    let (manifest, blob) = (encoding::digest(manifest)?, encoding::digest(blob)?);
    Ok(UnlinkedReference { repository: name(repository)?, manifest, blob })
}

/// Id, digest, size, location.
pub(crate) type BlobRow = (i64, Vec<u8>, i64, String);

pub(crate) fn named_blob((id, digest, bytes, location): BlobRow) -> Result<NamedBlob, Fault> {
    let (digest, location) = (encoding::digest(&digest)?, BlobLocation(location));
    let blob = BlobRecord { digest, size: size(bytes)?, location };
    Ok(NamedBlob { cursor: BlobCursor(id), blob })
}

/// A blob's row, when it was found, and what is wrong.
pub(crate) type DamagedRow = (i64, Vec<u8>, i64, String, i64, String);

pub(crate) fn damaged(row: DamagedRow) -> Result<DamagedBlob, Fault> {
    let (id, digest, size, location, found_at, reason) = row;
    let NamedBlob { blob, .. } = named_blob((id, digest, size, location))?;
    Ok(DamagedBlob { blob, found_at: time(found_at)?, reason })
}

/// The place of a repository, the place in it, the repository, and the digest.
pub(crate) type TreeBlobRow = (i64, i64, String, Vec<u8>);

pub(crate) fn tree_blob(row: TreeBlobRow) -> Result<(TreeCursor, TreeEntry), Fault> {
    let (repository_id, blob_id, repository, digest) = row;
    let entry = TreeEntry::Blob(name(&repository)?, encoding::digest(&digest)?);
    Ok((TreeCursor::Blob(repository_id, blob_id), entry))
}

/// The place of a manifest, its repository, and its digest.
pub(crate) type TreeManifestRow = (i64, String, Vec<u8>);

pub(crate) fn tree_manifest(row: TreeManifestRow) -> Result<(TreeCursor, TreeEntry), Fault> {
    let (id, repository, digest) = row;
    let entry = TreeEntry::Manifest(name(&repository)?, encoding::digest(&digest)?);
    Ok((TreeCursor::Manifest(id), entry))
}

/// The place of a repository, the tag, the repository, and the digest.
pub(crate) type TreeTagRow = (i64, String, String, Vec<u8>);

pub(crate) fn tree_tag(row: TreeTagRow) -> Result<(TreeCursor, TreeEntry), Fault> {
    let (repository_id, tag, repository, digest) = row;
    let parsed = tag.parse().map_err(|_| Fault::Malformed("tag"))?;
    let entry = TreeEntry::Tag(name(&repository)?, parsed, encoding::digest(&digest)?);
    Ok((TreeCursor::Tag(repository_id, tag), entry))
}

/// The statements that both engines list the entries of a tree with.
pub(crate) mod tree_sql {
    pub(crate) const BLOBS: &str = "
        SELECT l.repository_id, l.blob_id, r.name, b.digest
        FROM repository_blobs l
        JOIN repositories r ON r.id = l.repository_id
        JOIN blobs b ON b.id = l.blob_id
        WHERE (l.repository_id, l.blob_id) > ($1, $2)
        ORDER BY l.repository_id, l.blob_id LIMIT $3";

    pub(crate) const MANIFESTS: &str = "
        SELECT m.id, r.name, m.digest
        FROM manifests m
        JOIN repositories r ON r.id = m.repository_id
        WHERE m.id > $1 ORDER BY m.id LIMIT $2";

    pub(crate) const TAGS: &str = "
        SELECT t.repository_id, t.name, r.name, m.digest
        FROM tags t
        JOIN repositories r ON r.id = t.repository_id
        JOIN manifests m ON m.id = t.manifest_id
        WHERE (t.repository_id, t.name) > ($1, $2)
        ORDER BY t.repository_id, t.name LIMIT $3";
}
