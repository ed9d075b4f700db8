use std::fmt;
use std::path::PathBuf;

use berth_config::NamedRule;
use berth_metadata::MetadataError;
use berth_mirror::MirrorError;
use berth_oci::{Digest, ManifestError, Reference, RepositoryName, RepositoryPrefix, Tag};
use berth_storage_backends::StoreError;
use thiserror::Error;

use crate::{ContentName, Place};

/// How a service can fail, by outcome. [`crate::http`] gives each its status and code.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No such repository.
    #[error("the repository {0} does not exist")]
    NameUnknown(RepositoryName),
    /// The repository does not link the blob.
    #[error("the blob {0} is not in this repository")]
    BlobUnknown(Digest),
    /// The repository has no such manifest.
    #[error("the manifest {0} is not in this repository")]
    ManifestUnknown(Reference),
    /// An index of the repository names the manifest, so it stays.
    #[error(transparent)]
    ManifestNamed(Box<NamedManifest>),
    /// Nothing of this name can be had back.
    #[error(
        "nothing named {0} can be had back: it was not deleted, or its time (storage.delete.undelete) is over; `berth restore --list` shows what can be"
    )]
    NothingDeleted(ContentName),
    /// What was deleted cannot be had back as things are.
    #[error("nothing of {0} could be brought back")]
    NothingRestored(ContentName),
    /// A manifest references content that the repository does not hold.
    #[error("the manifest references content that is not in this repository; push it first")]
    ManifestBlobUnknown(Vec<Digest>),
    /// The manifest is not acceptable.
    #[error(transparent)]
    ManifestInvalid(#[from] ManifestError),
    /// A layer may not point to this address.
    #[error("the configuration does not allow layers at {0}")]
    UrlDenied(String),
    /// The bytes are not what their digest says.
    #[error(transparent)]
    DigestMismatch(#[from] Box<DigestMismatch>),
    /// No such upload session in this repository.
    #[error(
        "there is no such upload session; it is finished, cancelled or expired: start a new one"
    )]
    UploadUnknown,
    /// Another request is writing to the session.
    #[error(
        "another request is writing to this upload session; ask for its status with GET and go on from there"
    )]
    UploadBusy,
    /// The chunk does not begin where the session stands.
    #[error("the upload session stands at byte {offset}; go on from there")]
    UploadOutOfOrder {
        /// The number of bytes received.
        offset: u64,
    },
    /// The announced length is not that of the body.
    #[error("{announced} bytes were announced, but {received} were sent")]
    SizeMismatch {
        /// The length that the client announced.
        announced: u64,
        /// The bytes that came.
        received: u64,
    },
    /// The blob is larger than the store takes in parts of its size.
    #[error("the store takes blobs of at most {limit} bytes as it is configured")]
    BlobTooLarge {
        /// The largest blob that it takes, in bytes.
        limit: u64,
    },
    /// Nothing came for too long.
    #[error("no byte of the body came within the time limit")]
    BodyTimeout,
    /// The connection broke within the body.
    #[error("the body ended early: {0}")]
    BodyBroken(String),
    /// The configuration makes the tag immutable, and it points to another manifest or would go.
    #[error(
        "the tag {tag} is immutable ({rule}) and points to a manifest already; use another tag, or have the rule changed"
    )]
    TagImmutable {
        /// The tag.
        tag: Tag,
        /// What makes it immutable.
        rule: NamedRule,
    },
    /// A quota leaves no room.
    #[error("{0}")]
    QuotaExceeded(Box<ExceededQuota>),
    /// An upstream does not give what a mirror wants of it.
    #[error(transparent)]
    Upstream(#[from] MirrorError),
    /// Nobody pushes into a mirror.
    #[error(
        "the repository {0} is a mirror of another registry: push there, or have pushes allowed (mirrors.push)"
    )]
    Mirrored(RepositoryName),
    /// Deletion is switched off.
    #[error(
        "deletion is disabled; set storage.delete.enabled (REGISTRY_STORAGE_DELETE_ENABLED=true) to allow it"
    )]
    DeleteDisabled,
    /// Writing is switched off.
    #[error("the registry is in read-only mode (storage.maintenance.readonly); try again later")]
    ReadOnlyMode,
    /// The disk is full.
    #[error("no space is left in the registry's storage; tell its operator, then try again")]
    NoSpace,
    /// Storage or database cannot serve the request now.
    #[error("the registry's storage does not answer as it should; try again later")]
    Unavailable {
        /// What happened, for the log alone.
        cause: String,
    },
    /// The stored bytes are damaged.
    #[error("the stored content of {0} is damaged; push it again to repair it")]
    Damaged(Digest),
    /// The storage or the database cannot be looked after as was asked.
    #[error(transparent)]
    Upkeep(#[from] UpkeepError),
    /// Something that should not happen.
    #[error("the registry met an unexpected error; the log has it under this request's id")]
    Internal {
        /// What happened, for the log alone.
        cause: String,
    },
}

/// Why storage or database cannot be looked after as was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UpkeepError {
    /// It is being done already.
    #[error("{0} is going on already; wait for its end")]
    Running(&'static str),
    /// The storage keeps no files beside the blobs.
    #[error(
        "the storage keeps no files beside its blobs; only `filesystem` and the object stores do"
    )]
    NoFiles,
    /// No OCI image layout is there.
    #[error("{0} holds no OCI image layout: there is no file oci-layout in it or below")]
    NoLayout(Place),
    /// Several layouts cannot go to one repository.
    #[error(
        "{0} holds several OCI image layouts: leave out the name, and each goes to a repository called as its folder is"
    )]
    ManyLayouts(Place),
    /// Layouts are written into folders alone.
    #[error("an OCI image layout is written into a folder: name one, not a file")]
    LayoutPlace,
    /// The folder of a layout has a name that no repository can have.
    #[error("no repository can be called as {} is: say a name", .0.display())]
    LayoutName(PathBuf),
    /// A place that images are to come from, or go to, cannot be used.
    #[error("{place} cannot be used: {reason}")]
    Unusable {
        /// The place.
        place: Place,
        /// Why not.
        reason: String,
    },
    /// A file or folder on this machine cannot be read or written.
    #[error("it cannot be read or written: {0}")]
    Unreadable(String),
}

/// An index names the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the index {index} of this repository names the manifest {manifest}; delete the index first, or only the manifest's tags"
)]
pub struct NamedManifest {
    /// The manifest.
    pub manifest: Digest,
    /// The index, or one of several.
    pub index: Digest,
}

/// The bytes are not what their digest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the content has the digest {actual}, not {expected}")]
pub struct DigestMismatch {
    /// The digest that the client gave.
    pub expected: Digest,
    /// The digest of the bytes.
    pub actual: Digest,
}

/// A quota, and what would have exceeded it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the quota of {of} for the repositories of {prefix} is {limit}: {used} are used and this push needs {more} more; \
     delete what is not needed, or have policy.quotas raised"
)]
pub struct ExceededQuota {
    /// The repositories that it is for.
    pub prefix: RepositoryPrefix,
    /// What it counts.
    pub of: QuotaOf,
    /// How many there may be.
    pub limit: u64,
    /// How many there are.
    pub used: u64,
    /// How many more the push would bring.
    pub more: u64,
}

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaOf {
    /// Bytes of blobs.
    Bytes,
    /// Manifests.
    Manifests,
    /// Tags.
    Tags,
}

impl fmt::Display for QuotaOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Manifests => "manifests",
            Self::Tags => "tags",
        })
    }
}

impl RegistryError {
    /// What only the operator should read, where there is more than the message.
    pub(crate) fn cause(&self) -> Option<&str> {
        match self {
            Self::Unavailable { cause } | Self::Internal { cause } => Some(cause),
            _ => None,
        }
    }
}

impl From<MetadataError> for RegistryError {
    fn from(error: MetadataError) -> Self {
        match error {
            MetadataError::NoSpace => Self::NoSpace,
            MetadataError::Malformed { .. } => Self::Internal { cause: error.to_string() },
            error => Self::Unavailable { cause: error.to_string() },
        }
    }
}

impl From<StoreError> for RegistryError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::UploadBusy,
            StoreError::UploadLost { .. } => Self::UploadUnknown,
            StoreError::NoSpace => Self::NoSpace,
            StoreError::TooLarge { limit } => Self::BlobTooLarge { limit },
            error => Self::Unavailable { cause: error.to_string() },
        }
    }
}
