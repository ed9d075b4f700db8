//! Deletions, and having back what was deleted.

use std::time::{Duration, SystemTime};

use berth_oci::{Digest, Reference, RepositoryName, Tag};

use crate::ManifestCursor;

/// How long that is kept which a deletion takes away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// How long the links to the blobs stay at least: who has just read the manifest goes on to its
    /// blobs.
    pub grace: Duration,
    /// How long all of it can be had back. Not at all when this is zero.
    pub undelete: Duration,
}

impl Keep {
    /// Nothing can be had back, and the links stay for `grace`.
    #[must_use]
    pub fn for_good(grace: Duration) -> Self {
        Self { grace, undelete: Duration::ZERO }
    }
}

/// The identity of a deletion; later ones have greater ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeletionId(pub(crate) i64);

/// How the deletion of a manifest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteManifest {
    /// It is gone, with its tags.
    Deleted {
        /// The deletion, where the artifacts attached to the manifest have still to follow: call
        /// [`continue_deletion`](crate::MetadataStore::continue_deletion).
        unfinished: Option<DeletionId>,
    },
    /// The repository does not have it.
    Unknown,
    /// Nothing changed: this tag points to it, which is protected.
    Protected(Tag),
    /// Nothing changed: an index of the repository names it.
    NamedBy(Digest),
}

/// A deletion that can be had back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Its identity.
    pub id: DeletionId,
    /// The repository.
    pub repository: RepositoryName,
    /// What was to be deleted; `None` for the whole repository.
    pub reference: Option<Reference>,
    /// When it began.
    pub deleted_at: SystemTime,
    /// Until when it can be had back.
    pub until: SystemTime,
    /// Whether there is more of it to do. What is left of it can be had back afterwards.
    pub is_open: bool,
    /// The manifests of it that can be had back.
    pub manifests: u64,
    /// The tags of it that can be had back.
    pub tags: u64,
}

/// A manifest of a deletion, or one that a tag of it pointed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedManifest {
    /// Its digest.
    pub digest: Digest,
    /// Whether a part of the deletion is that it names other manifests.
    pub is_index: bool,
}

/// How bringing back a manifest with its tags ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restore {
    /// The manifest is there, and these of its tags point to it.
    Restored {
        /// The tags that point to it again.
        tags: Vec<Tag>,
        /// Tags that have come to point elsewhere since, and were left alone.
        taken: Vec<Tag>,
        /// The tag to go on after, when there may be more.
        more_after: Option<Tag>,
    },
    /// Nothing changed: the repository had this content, which the manifest needs, and has it no
    /// longer.
    Missing(Vec<Digest>),
    /// Nothing changed: the manifest that the tags pointed to went in another deletion.
    ManifestGone,
    /// Nothing changed: the deletion has nothing of the kind, or its time is over.
    Unknown,
}

/// Where to begin to look for manifests that nothing stands for, and which of them count.
#[derive(Clone, Copy, Debug)]
pub struct UntaggedSearch {
    /// Behind this one.
    pub after: Option<ManifestCursor>,
    /// Younger ones stay.
    pub age: Duration,
    /// How many are looked at.
    pub limit: u32,
}
