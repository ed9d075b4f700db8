//! Paths under the root directory.
//!
//! ```text
//! <root>/
//!   docker/registry/v2/                       the tree of registry:2, byte for byte
//!     blobs/<algorithm>/<2 hex>/<hex>/data    every blob, manifests among them
//!     repositories/<name>/
//!       _layers/<algorithm>/<hex>/link        a blob that the repository can read
//!       _manifests/
//!         revisions/<algorithm>/<hex>/link    a manifest of the repository
//!         tags/<tag>/
//!           current/link                      what the tag points to
//!           index/<algorithm>/<hex>/link      what it has pointed to
//!   berth/quarantine/<algorithm>-<hex>.<uuid>/data    bytes that are not what their digest says
//!   berth/uploads/<uuid>                      bytes of unfinished uploads
//!   berth/uploads/<uuid>.<algorithm>-<hex>    an upload that has become a blob and is not recorded yet
//! ```
//!
//! A link file holds the digest that it links, without a newline.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use berth_oci::{Algorithm, Digest, RepositoryName, Tag, UploadId};

use super::durable;

/// The typed paths of one root directory.
#[derive(Debug)]
pub(super) struct Layout {
    blobs: PathBuf,
    /// The `<algorithm>/<2 hex>` folders of blobs whose names this process has synced.
    synced_prefixes: [[AtomicBool; 256]; 2],
    repositories: PathBuf,
    uploads: PathBuf,
    quarantine: PathBuf,
}

impl Layout {
    pub(super) fn new(root: &Path) -> Self {
        let tree = root.join("docker/registry/v2");
        Self {
            blobs: tree.join("blobs"),
            synced_prefixes: [const { [const { AtomicBool::new(false) }; 256] }; 2],
            repositories: tree.join("repositories"),
            uploads: root.join("berth/uploads"),
            quarantine: root.join("berth/quarantine"),
        }
    }

    /// The directories that must exist before anything else.
    pub(super) fn directories(&self) -> [&Path; 3] {
        [&self.blobs, &self.repositories, &self.uploads]
    }

    /// The mark of an upload that is becoming the blob `digest`.
    pub(super) fn placement(&self, handle: &str, digest: &Digest) -> PathBuf {
        let (algorithm, hex) = (digest.algorithm().as_str(), digest.hex());
        self.uploads.join(format!("{handle}.{algorithm}-{hex}"))
    }

    /// What a mark says: the upload, and the blob.
    pub(super) fn placement_of(name: &str) -> Option<(UploadId, Digest)> {
        let (id, digest) = name.split_once('.')?;
        Some((id.parse().ok()?, digest.replacen('-', ":", 1).parse().ok()?))
    }

    pub(super) fn uploads(&self) -> &Path {
        &self.uploads
    }

    pub(super) fn upload(&self, id: UploadId) -> PathBuf {
        self.uploads.join(id.to_string())
    }

    pub(super) fn blob_data(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let mut path = self.blobs.join(digest.algorithm().as_str());
        path.push(&hex[..2]);
        path.push(&hex);
        path.push("data");
        path
    }

    /// Where damaged bytes of a blob are kept that were put into quarantine under this identifier.
    pub(super) fn quarantined(&self, digest: &Digest, id: UploadId) -> PathBuf {
        let (algorithm, hex) = (digest.algorithm().as_str(), digest.hex());
        self.quarantine.join(format!("{algorithm}-{hex}.{id}")).join("data")
    }

    /// Renames a synced file to the place of the blob `digest`; durable when this returns.
    pub(super) fn place_blob(&self, file: &Path, digest: &Digest) -> io::Result<()> {
        durable::rename_creating_parents(file, &self.blob_data(digest))?;
        self.sync_blob(digest)
    }

    /// Syncs the directories above the blob `digest`. Nothing when it has been removed meanwhile:
    /// whoever records it finds that out.
    pub(super) fn sync_blob(&self, digest: &Digest) -> io::Result<()> {
        match self.sync_above(digest) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn sync_above(&self, digest: &Digest) -> io::Result<()> {
        let data = self.blob_data(digest);
        let algorithm = match digest.algorithm() {
            Algorithm::Sha256 => 0,
            Algorithm::Sha512 => 1,
        };
        // Another request may have made the prefix folder and not have synced it yet, so whether
        // this one made it tells nothing.
        let prefix = &self.synced_prefixes[algorithm][usize::from(digest.hash()[0])];
        if prefix.load(Ordering::Acquire) {
            durable::sync_directories(&data, 2)
        } else {
            durable::sync_directories(&data, 4)?;
            prefix.store(true, Ordering::Release);
            Ok(())
        }
    }

    pub(super) fn layer_link(&self, repository: &RepositoryName, digest: &Digest) -> PathBuf {
        link(self.repository(repository).join("_layers"), digest)
    }

    pub(super) fn revision_link(&self, repository: &RepositoryName, digest: &Digest) -> PathBuf {
        link(self.manifests(repository).join("revisions"), digest)
    }

    pub(super) fn tag(&self, repository: &RepositoryName, tag: &Tag) -> PathBuf {
        self.manifests(repository).join("tags").join(tag.as_str())
    }

    pub(super) fn tag_current_link(&self, repository: &RepositoryName, tag: &Tag) -> PathBuf {
        self.tag(repository, tag).join("current/link")
    }

    pub(super) fn tag_index_link(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
    ) -> PathBuf {
        link(self.tag(repository, tag).join("index"), digest)
    }

    pub(super) fn manifests(&self, repository: &RepositoryName) -> PathBuf {
        self.repository(repository).join("_manifests")
    }

    pub(super) fn layers(&self, repository: &RepositoryName) -> PathBuf {
        self.repository(repository).join("_layers")
    }

    fn repository(&self, repository: &RepositoryName) -> PathBuf {
        self.repositories.join(repository.as_str())
    }
}

fn link(folder: PathBuf, digest: &Digest) -> PathBuf {
    let mut path = folder.join(digest.algorithm().as_str());
    path.push(digest.hex());
    path.push("link");
    path
}
