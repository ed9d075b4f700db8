use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use berth_oci::{
    Algorithm, Digest, HasherState, LinkChange, RepositoryName, RepositoryPrefix, Tag, UploadId,
};
use bytes::Bytes;

use crate::lifecycle::Verdict;
use crate::{Mirrored, NewEvent};

/// Where the blob store keeps a blob, in the words of its driver. Opaque here; empty for drivers
/// that find a blob by its digest alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BlobLocation(pub String);

/// A blob that a repository links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRecord {
    /// The digest of the bytes.
    pub digest: Digest,
    /// The number of bytes.
    pub size: u64,
    /// Where the bytes are.
    pub location: BlobLocation,
}

/// A repository's link to a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedBlob {
    /// The blob.
    pub blob: BlobRecord,
    /// For how long the link is kept although no manifest may need the blob.
    pub leased_for: Duration,
}

/// Where a mount takes its blob from.
#[derive(Clone, Copy, Debug)]
pub enum MountSource<'a> {
    /// From this repository.
    Repository(&'a RepositoryName),
    /// From any repository that links it.
    Any,
}

/// A manifest in a repository. Shared between all that read it at the same time.
#[derive(Debug, PartialEq, Eq)]
pub struct ManifestRecord {
    /// The digest of the payload.
    pub digest: Digest,
    /// The media type it was pushed with.
    pub media_type: String,
    /// The bytes as they were pushed.
    pub payload: Bytes,
}

/// A manifest to store, with all that the graph needs to know of it.
#[derive(Clone, Debug)]
pub struct NewManifest {
    /// The repository.
    pub repository: RepositoryName,
    /// The digest of the payload.
    pub digest: Digest,
    /// The media type.
    pub media_type: String,
    /// The bytes as pushed.
    pub payload: Bytes,
    /// Blobs it references; those that must be linked in the repository come with `true`.
    pub blobs: Vec<(Digest, bool)>,
    /// Manifests it references; those that must be in the repository come with `true`.
    pub manifests: Vec<(Digest, bool)>,
    /// The manifest that it is attached to, which may not be here yet.
    pub subject: Option<Digest>,
    /// What a listing of referrers shows as the artifact type.
    pub artifact_type: Option<String>,
    /// What a listing of referrers shows as annotations.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Tags to point to it, in the same transaction.
    pub tags: Vec<Tag>,
    /// Those of the tags that must not point elsewhere already.
    pub immutable_tags: Vec<Tag>,
    /// How it comes, where the repository mirrors others.
    pub mirrored: Option<Mirrored>,
    /// What is told of it, recorded in the same transaction.
    pub events: Vec<NewEvent>,
}

/// How storing a manifest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutManifest {
    /// Stored, or stored already; the tags point to it.
    Stored,
    /// Nothing was written: these required blobs and manifests are not in the repository. Each is
    /// named once, blobs first, in the order of the manifest.
    Missing(Vec<Digest>),
    /// Nothing was written: this tag is immutable, and points to another manifest.
    Immutable(Tag),
}

/// A manifest that is attached to a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its artifact type.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Where a page of referrers begins: after the referrer with this digest.
pub type ReferrerCursor = Digest;

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries, in the listing's order.
    pub entries: Vec<T>,
    /// Whether entries follow behind the last one.
    pub more: bool,
}

/// An upload session to open.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Its identifier.
    pub id: UploadId,
    /// The repository that it was opened in, and where alone it can be used.
    pub repository: RepositoryName,
    /// The algorithm that the hash state is kept for.
    pub algorithm: Algorithm,
    /// The hash state of no bytes.
    pub hash_state: HasherState,
    /// The blob store's own handle.
    pub handle: String,
}

/// An open upload session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its identifier.
    pub id: UploadId,
    /// Its repository.
    pub repository: RepositoryName,
    /// The algorithm of the hash state.
    pub algorithm: Algorithm,
    /// The number of bytes received and hashed.
    pub offset: u64,
    /// The state of the hash over those bytes.
    pub hash_state: HasherState,
    /// The blob store's own handle.
    pub handle: String,
    /// When it was opened.
    pub started_at: SystemTime,
    /// When it last moved.
    pub updated_at: SystemTime,
}

/// How taking hold of a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldUpload {
    /// It is held; this is where it stands.
    Held(Upload),
    /// Another process has it.
    Busy,
    /// It is not open in this repository.
    Unknown,
}

/// Work that one process at a time does for all that share the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Making the storage tree follow the outbox.
    Links,
    /// Giving back what abandoned uploads hold.
    Purge,
    /// Looking at links, and removing what became garbage.
    Collect,
    /// Telling an endpoint, by its name, of events.
    Deliver(Arc<str>),
    /// Dropping events that have waited too long.
    EventLimits,
    /// Deleting what no retention policy keeps.
    Retain,
    /// Taking over a storage tree.
    Import,
    /// Looking whether stored bytes are what they should be.
    Scrub,
    /// Making a backup of the database.
    Backup,
    /// Letting go of what mirrors keep too much of.
    Evict,
}

/// How far a session has come.
#[derive(Clone, Debug)]
pub struct UploadProgress {
    /// The session.
    pub id: UploadId,
    /// The offset that the writer started from. The session moves only if it still stands there.
    pub from_offset: u64,
    /// The new offset.
    pub offset: u64,
    /// The hash state at the new offset.
    pub hash_state: HasherState,
    /// The blob store's handle at the new offset.
    pub handle: String,
}

/// A blob whose bytes are durable, to be linked into a repository.
#[derive(Clone, Debug)]
pub struct FinishedUpload {
    /// The session it came through, which ends in the same transaction; `None` when the blob came
    /// in one request and no session was ever stored.
    pub id: Option<UploadId>,
    /// The repository that gets the link.
    pub repository: RepositoryName,
    /// The blob.
    pub blob: BlobRecord,
    /// How long the link is kept from collection while no manifest needs the blob.
    pub lease: Duration,
    /// How long bytes are kept that the blob had in another place until now.
    pub grace: Duration,
    /// The removal after whose end the bytes were seen to be in their place.
    pub seen: Option<u64>,
    /// What is told of it, recorded in the same transaction.
    pub events: Vec<NewEvent>,
}

/// How recording a finished upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedUpload {
    /// The blob is linked.
    Linked,
    /// Nothing changed: the session is gone (cancelled, or finished by somebody else).
    SessionGone,
    /// Nothing changed: bytes at this place are being removed, or were. Look with
    /// [`removal`](crate::MetadataStore::removal), and whether the bytes are there.
    Unsure,
}

/// The place of a link in the order in which links are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkCursor {
    pub(crate) review_at: i64,
    pub(crate) repository: i64,
    pub(crate) blob: i64,
}

/// A link whose time of review has come, and what would become of it.
#[derive(Clone, Debug)]
pub struct DueLink {
    /// Its place.
    pub cursor: LinkCursor,
    /// The repository.
    pub repository: RepositoryName,
    /// The blob.
    pub digest: Digest,
    /// The number of bytes.
    pub size: u64,
    /// What the review says.
    pub verdict: Verdict,
    /// Whether no other repository links the blob.
    pub is_last: bool,
}

/// What a review of links did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReviewedLinks {
    /// Links that stay.
    pub kept: u64,
    /// Links that went.
    pub unlinked: u64,
    /// Blobs that became garbage.
    pub released: u64,
    /// The bytes of these.
    pub released_bytes: u64,
}

/// Since when work of the collector waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CollectionBacklog {
    /// The most overdue link.
    pub link: Option<SystemTime>,
    /// The most overdue garbage.
    pub garbage: Option<SystemTime>,
}

/// A page of manifests that nothing stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UntaggedManifests {
    /// The manifests, each with its repository.
    pub manifests: Vec<(RepositoryName, Digest)>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<ManifestCursor>,
}

/// The place of a manifest in the order in which all are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestCursor(pub(crate) i64);

/// The identity of one try to remove some garbage. When somebody else has tried since, it means
/// nothing any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GarbageId {
    pub(crate) row: i64,
    /// The how manieth try it is, from 1.
    pub round: u64,
}

/// Bytes that the caller is to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenGarbage {
    /// Their identity.
    pub id: GarbageId,
    /// What they are: where no other upload can lie, their location says.
    pub blob: BlobRecord,
}

/// What the repositories of a prefix hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The prefix.
    pub prefix: RepositoryPrefix,
    /// The bytes of the blobs that they link, each blob once.
    pub bytes: u64,
    /// Their manifests.
    pub manifests: u64,
    /// Their tags.
    pub tags: u64,
    /// Whether the blob that was asked for is among them.
    pub has_blob: bool,
}

/// The place of an entry in the outbox; later entries have greater ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutboxId(pub i64);

/// A committed change that the storage tree has still to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its place.
    pub id: OutboxId,
    /// The change.
    pub change: LinkChange,
    /// What the database says by now of what was put; nothing when that has gone since.
    pub standing: Option<Standing>,
}

/// What there is to say of a link, a manifest or a tag beside its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// When it was written.
    pub written_at: SystemTime,
    /// The blob that is linked.
    pub blob: Option<BlobRecord>,
    /// The media type of the manifest.
    pub media_type: Option<String>,
}

/// What beside the database is told of changes of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Follower {
    /// Nothing.
    #[default]
    None,
    /// A journal.
    Journal,
    /// A storage tree, where manifests are files among the blobs.
    Tree,
}

impl Follower {
    pub(crate) fn is_told(self) -> bool {
        self != Self::None
    }

    pub(crate) fn has_files(self) -> bool {
        self == Self::Tree
    }
}
