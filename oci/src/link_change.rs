use bytes::Bytes;

use crate::{Digest, RepositoryName, Tag};

/// A change to what a repository names, as the link files of a `registry:2` tree repeat it.
///
/// The database is the truth about names. Stores that keep a readable tree beside the bytes get
/// these changes in the order of their commits, and applying one twice changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// The repository can now read the blob.
    LinkBlob {
        /// The repository.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// The repository can no longer read the blob.
    UnlinkBlob {
        /// The repository.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// The repository holds the manifest.
    PutManifest {
        /// The repository.
        repository: RepositoryName,
        /// The manifest.
        digest: Digest,
        /// Its bytes: a tree keeps manifests among the blobs.
        payload: Bytes,
    },
    /// The repository no longer holds the manifest. Its tags are deleted by changes of their own.
    DeleteManifest {
        /// The repository.
        repository: RepositoryName,
        /// The manifest.
        digest: Digest,
    },
    /// The tag points to the manifest.
    SetTag {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// The manifest.
        digest: Digest,
    },
    /// The tag is gone.
    DeleteTag {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
    },
}
