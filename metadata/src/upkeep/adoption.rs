use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName, Tag};

use crate::{BlobLocation, ManifestCursor, MetadataError, Mirrored, NewManifest};

/// Taking over the tree that a registry keeps in its storage: what is found there is put in, and what is
/// known already is left as it is. So a pass can be broken off at any point and made again.
///
/// The order of a pass: [`begin_adoption`](Self::begin_adoption), all blobs, then links, manifests and
/// tags as they come, [`adopt_tags`](Self::adopt_tags) until none is left,
/// [`unlinked_references`](Self::unlinked_references), and [`end_adoption`](Self::end_adoption). One
/// pass at a time, beside everything else.
#[async_trait]
pub trait AdoptionStore: fmt::Debug + Send + Sync + 'static {
    /// Forgets which blobs and tags a pass that broke off had found.
    async fn begin_adoption(&self) -> Result<(), MetadataError>;

    /// Notes blobs that lie in the storage. Nobody sees them until a link is found.
    async fn found_blobs(&self, blobs: Vec<FoundBlob>) -> Result<(), MetadataError>;

    /// Links blobs into repositories, as far as they were found; each link is kept for `lease` without a
    /// manifest. Links that are not in the storage tree yet are recorded for it to follow.
    async fn adopt_links(
        &self,
        links: Vec<FoundLink>,
        lease: Duration,
    ) -> Result<AdoptedLinks, MetadataError>;

    /// Those of some manifests that their repositories do not have.
    async fn unknown_manifests(
        &self,
        manifests: Vec<(RepositoryName, Digest)>,
    ) -> Result<Vec<(RepositoryName, Digest)>, MetadataError>;

    /// Stores manifests with their references, whether what they refer to is here or not, and notes
    /// which of the blobs were found with another size than they say.
    async fn adopt_manifests(&self, manifests: Vec<FoundManifest>) -> Result<(), MetadataError>;

    /// Notes tags that were found.
    async fn found_tags(&self, tags: Vec<FoundTag>) -> Result<(), MetadataError>;

    /// Points some of the noted tags, at most `limit`, to their manifests, unless they were set or deleted
    /// here since they were written there. What `origins` says was fetched is looked at upstream when it is next
    /// wanted.
    async fn adopt_tags(&self, limit: u32, origins: &Origins)
    -> Result<AdoptedTags, MetadataError>;

    /// Blobs that manifests refer to and that their repositories do not link: looks at `limit` manifests
    /// behind `after`.
    async fn unlinked_references(
        &self,
        after: Option<ManifestCursor>,
        limit: u32,
    ) -> Result<UnlinkedReferences, MetadataError>;

    /// At most `limit` of the blobs that were found with another size than a manifest says, by this pass or one
    /// that broke off, until they are [forgotten](Self::forget_misfits).
    async fn misfits(&self, limit: u32) -> Result<Vec<Misfit>, MetadataError>;

    /// Forgets misfits, which have been looked at.
    async fn forget_misfits(&self, misfits: Vec<Misfit>) -> Result<(), MetadataError>;

    /// The blobs that were found and that nothing names.
    async fn orphans(&self) -> Result<Orphans, MetadataError>;

    /// Ends the pass.
    async fn end_adoption(&self) -> Result<(), MetadataError>;
}

/// Says of a repository how what is found there came in, where that is known.
#[derive(Clone)]
pub struct Origins(Arc<dyn Says>);

/// What it is made of.
trait Says: Fn(&RepositoryName) -> Option<Mirrored> + Send + Sync {}

impl<F: Fn(&RepositoryName) -> Option<Mirrored> + Send + Sync> Says for F {}

impl Origins {
    /// What a function says.
    pub fn new(
        origin: impl Fn(&RepositoryName) -> Option<Mirrored> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(origin))
    }

    /// How what is found in the repository came there.
    pub fn of(&self, repository: &RepositoryName) -> Option<Mirrored> {
        self.0(repository)
    }
}

impl Default for Origins {
    fn default() -> Self {
        Self::new(|_| None)
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origins").finish_non_exhaustive()
    }
}

/// A blob in the storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundBlob {
    /// What its name says it is.
    pub digest: Digest,
    /// The number of bytes.
    pub size: u64,
    /// When it was written.
    pub written_at: SystemTime,
    /// Where it is.
    pub location: BlobLocation,
}

/// The link of a repository to a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLink {
    /// The repository.
    pub repository: RepositoryName,
    /// The blob.
    pub digest: Digest,
    /// When it was written.
    pub written_at: SystemTime,
    /// Whether the storage tree has the link; otherwise it follows from a manifest.
    pub in_tree: bool,
}

/// What became of links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdoptedLinks {
    /// How many are new.
    pub new: u64,
    /// Those whose blob was not found.
    pub without_blob: Vec<FoundLink>,
}

/// A manifest of a repository.
#[derive(Clone, Debug)]
pub struct FoundManifest {
    /// The manifest, and how it came. Tags, events and what is required count for nothing.
    pub manifest: NewManifest,
    /// The sizes that it tells of the blobs that it references.
    pub sizes: Vec<(Digest, u64)>,
    /// When it was written.
    pub written_at: SystemTime,
}

/// A blob with another size than a manifest tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The blob.
    pub digest: Digest,
    /// The size that the manifest tells; where several tell other sizes, one of them.
    pub expected: u64,
    /// The size that was found.
    pub found: u64,
}

/// A tag, and what it points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTag {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// The manifest.
    pub digest: Digest,
    /// When it was written.
    pub written_at: SystemTime,
}

/// What became of tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdoptedTags {
    /// How many were looked at.
    pub looked_at: u64,
    /// How many are new, or point elsewhere now.
    pub new: u64,
    /// Those whose manifest is not in the repository.
    pub dangling: Vec<FoundTag>,
}

/// A page of references that are not links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnlinkedReferences {
    /// The references.
    pub references: Vec<UnlinkedReference>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<ManifestCursor>,
}

/// A blob that a manifest refers to and its repository does not link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlinkedReference {
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub manifest: Digest,
    /// The blob.
    pub blob: Digest,
}

/// Blobs that nothing names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// How many there are.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}
