use berth_metadata::TreeEntry;
use berth_oci::{Digest, LinkChange, Reference, RepositoryName};
use berth_storage_backends::{BlobStore, LinkTree, StoreError, StoreFiles, tree};
use tokio::sync::mpsc;
use tracing::warn;

use super::Exported;
use crate::control::Told;
use crate::error::UpkeepError;
use crate::{Registry, RegistryError};

/// How many entries are written together.
const PAGE: u32 = 512;

impl Registry {
    /// Writes all that the registry has into a storage tree, as `registry:2` keeps it. What is there already
    /// is left; an export that broke off is made again.
    ///
    /// # Errors
    /// When the database or one of the stores fails.
    pub async fn export_tree(
        &self,
        to: &dyn BlobStore,
        tell: &mpsc::Sender<Told>,
    ) -> Result<Exported, RegistryError> {
        let upkeep = self.upkeep()?;
        let (Some(links), Some(files)) = (to.link_tree(), to.files()) else {
            return Err(UpkeepError::NoFiles.into());
        };
        let mut exported = Exported::default();
        let mut after = None;
        loop {
            let page = upkeep.tree_entries(after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(exported) };
            after = Some(last.clone());
            let entries = page.into_iter().map(|(_, entry)| entry).collect();
            self.export_page(links, files, entries, &mut exported).await?;
            // Whoever asked may have gone.
            let _ = tell.send(Told::Exporting(exported)).await;
        }
    }

    async fn export_page(
        &self,
        links: &dyn LinkTree,
        files: &dyn StoreFiles,
        entries: Vec<TreeEntry>,
        exported: &mut Exported,
    ) -> Result<(), RegistryError> {
        let mut changes = Vec::new();
        for entry in entries {
            match entry {
                TreeEntry::Blob(repository, digest) => {
                    if self.export_blob(files, &repository, &digest, exported).await? {
                        changes.push(LinkChange::LinkBlob { repository, digest });
                    }
                }
                TreeEntry::Manifest(repository, digest) => {
                    let reference = Reference::Digest(digest);
                    let found = self.metadata.manifest(&repository, &reference).await?;
                    // Deleted since it was listed.
                    let Some(found) = found else { continue };
                    exported.manifests += 1;
                    let payload = found.payload.clone();
                    changes.push(LinkChange::PutManifest { repository, digest, payload });
                }
                TreeEntry::Tag(repository, tag, digest) => {
                    exported.tags += 1;
                    changes.push(LinkChange::SetTag { repository, tag, digest });
                }
            }
        }
        Ok(links.apply(changes).await?)
    }

    /// Copies a blob, unless it is there; false when it cannot be had.
    async fn export_blob(
        &self,
        files: &dyn StoreFiles,
        repository: &RepositoryName,
        digest: &Digest,
        exported: &mut Exported,
    ) -> Result<bool, RegistryError> {
        let Some(linked) = self.metadata.blob(repository, digest).await? else { return Ok(false) };
        let name = tree::data(digest);
        match files.open(&name).await {
            Ok(there) if there.size == linked.blob.size => return Ok(true),
            Ok(_) | Err(StoreError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        let written = match self.verified(&linked.blob).await? {
            Some(bytes) => files.write(&name, bytes).await,
            None => Err(StoreError::NotFound),
        };
        match written {
            Ok(()) => {
                exported.blobs += 1;
                exported.bytes += linked.blob.size;
                Ok(true)
            }
            // The blob's own fault: it is damaged or gone.
            Err(StoreError::NotFound | StoreError::Io(_)) => {
                warn!(%repository, %digest, "a blob could not be exported: it is damaged or gone");
                exported.left += 1;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}
