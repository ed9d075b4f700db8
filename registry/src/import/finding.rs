use std::fmt;

use berth_oci::{Digest, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

/// Something in a tree that is not as it should be, and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum Finding {
    /// A file that means nothing there. It is left alone.
    Foreign {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// Something that cannot be looked at. It is passed over.
    Unreadable {
        /// The file or folder.
        path: String,
        /// Why.
        reason: String,
    },
    /// A link file that does not hold what its name says. Its name counts.
    LinkBroken {
        /// The file.
        path: String,
    },
    /// The link file of a tag that holds no digest. The tag is not taken.
    TagBroken {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// What is wrong with it.
        reason: String,
    },
    /// A tag whose manifest the repository does not have. It is not taken.
    TagDangling {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// The manifest.
        digest: Digest,
    },
    /// A manifest that cannot be taken.
    ManifestUnusable {
        /// The repository.
        repository: RepositoryName,
        /// The manifest.
        digest: Digest,
        /// Why not.
        reason: String,
    },
    /// A manifest that needs a blob which is not there. It is taken; who pulls the blob is told that it is
    /// missing.
    ReferenceMissing {
        /// The repository.
        repository: RepositoryName,
        /// The manifest.
        manifest: Digest,
        /// The blob.
        blob: Digest,
    },
    /// A manifest that needs a blob which is there and had no link in the repository. The link was made.
    LinkMade {
        /// The repository.
        repository: RepositoryName,
        /// The manifest.
        manifest: Digest,
        /// The blob.
        blob: Digest,
    },
    /// A blob that is not what its digest says. It is in quarantine, and not served until it is pushed
    /// again.
    BlobDamaged {
        /// The blob.
        digest: Digest,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign { path, reason } => write!(f, "{path}: {reason}; left alone"),
            Self::Unreadable { path, reason } => {
                write!(f, "{path} cannot be looked at and was passed over: {reason}")
            }
            Self::LinkBroken { path } => {
                write!(f, "{path} does not hold what its name says; the name was taken")
            }
            Self::TagBroken { repository, tag, reason } => {
                write!(f, "the tag {repository}:{tag} was not taken: {reason}")
            }
            Self::TagDangling { repository, tag, digest } => write!(
                f,
                "the tag {repository}:{tag} was not taken: its manifest {digest} is not in the repository"
            ),
            Self::ManifestUnusable { repository, digest, reason } => {
                write!(f, "the manifest {repository}@{digest} was not taken: {reason}")
            }
            Self::ReferenceMissing { repository, manifest, blob } => write!(
                f,
                "the manifest {repository}@{manifest} was taken without its blob {blob}, which is not there; push it again"
            ),
            Self::LinkMade { repository, manifest, blob } => write!(
                f,
                "{repository} had no link to {blob}, which its manifest {manifest} needs; the link was made"
            ),
            Self::BlobDamaged { digest, reason } => write!(
                f,
                "the blob {digest} is damaged ({reason}) and in quarantine; push it again to repair it"
            ),
        }
    }
}
