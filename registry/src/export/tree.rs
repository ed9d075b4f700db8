use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use berth_metadata::TreeEntry;
use berth_oci::{Digest, LinkChange, Reference, RepositoryName};
use berth_storage_backends::{StoreError, StoreFiles, tree};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;
use tracing::warn;

use super::Exported;
use super::links::Links;
use crate::control::Told;
use crate::error::UpkeepError;
use crate::{Place, Registry, RegistryError};

/// How many entries are written together.
const PAGE: u32 = 512;

/// How many blobs are copied at the same time.
const COPIES: usize = 8;

/// Where a tree is written.
struct Target<'a> {
    place: &'a Place,
    files: &'a dyn StoreFiles,
    links: Links<'a>,
}

impl Target<'_> {
    fn failed(&self, error: &StoreError) -> UpkeepError {
        UpkeepError::Unusable { place: self.place.clone(), reason: error.to_string() }
    }
}

/// What became of a blob.
enum Outcome {
    /// So many bytes were copied.
    Copied(u64),
    /// It was there already.
    There,
    /// It cannot be had: it is damaged or gone.
    Left,
    /// It was deleted since it was listed.
    Deleted,
}

impl Registry {
    /// Writes all that the registry has into a storage tree, as `registry:2` keeps it. What is there already
    /// is left; an export that broke off is made again.
    ///
    /// # Errors
    /// When the database or one of the stores fails.
    pub async fn export_tree(
        &self,
        to: &Place,
        tell: &mpsc::Sender<Told>,
    ) -> Result<Exported, RegistryError> {
        let upkeep = self.upkeep()?;
        let store = to.open_to_write()?;
        let files = store.files().ok_or(UpkeepError::NoFiles)?;
        let links = store.link_tree().map_or(Links::Objects(files), Links::Kept);
        let target = Target { place: to, files, links };
        let mut exported = Exported::default();
        let mut after = None;
        loop {
            let page = upkeep.tree_entries(after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(exported) };
            after = Some(last.clone());
            let entries = page.into_iter().map(|(_, entry)| entry).collect();
            self.export_page(&target, entries, &mut exported).await?;
            // Whoever asked may have gone.
            let _ = tell.send(Told::Exporting(exported)).await;
        }
    }

    async fn export_page(
        &self,
        target: &Target<'_>,
        entries: Vec<TreeEntry>,
        exported: &mut Exported,
    ) -> Result<(), RegistryError> {
        let mut blobs: HashMap<_, Vec<_>> = HashMap::new();
        let mut changes = Vec::new();
        for entry in entries {
            match entry {
                TreeEntry::Blob(repository, digest) => {
                    blobs.entry(digest).or_default().push(repository);
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
        let copies = stream::iter(blobs).map(|(digest, repositories)| async move {
            let outcome = self.export_blob(target, &repositories, &digest).await?;
            Ok::<_, RegistryError>((digest, repositories, outcome))
        });
        let mut copies = copies.buffer_unordered(COPIES);
        while let Some((digest, repositories, outcome)) = copies.try_next().await? {
            match outcome {
                Outcome::Copied(size) => {
                    exported.blobs += 1;
                    exported.bytes += size;
                }
                Outcome::There => {}
                Outcome::Left => {
                    exported.left += 1;
                    continue;
                }
                Outcome::Deleted => continue,
            }
            let link = |repository| LinkChange::LinkBlob { repository, digest };
            changes.extend(repositories.into_iter().map(link));
        }
        target.links.apply(changes).await.map_err(|error| target.failed(&error).into())
    }

    /// Copies a blob that is in one of the repositories, unless it is there.
    async fn export_blob(
        &self,
        target: &Target<'_>,
        repositories: &[RepositoryName],
        digest: &Digest,
    ) -> Result<Outcome, RegistryError> {
        let mut found = None;
        for repository in repositories {
            found = self.metadata.blob(repository, digest).await?;
            if found.is_some() {
                break;
            }
        }
        let Some(linked) = found else { return Ok(Outcome::Deleted) };
        let size = linked.blob.size;
        let name = tree::data(digest);
        match target.files.open(&name).await {
            Ok(there) if there.size == size => return Ok(Outcome::There),
            Ok(_) | Err(StoreError::NotFound) => {}
            Err(error) => return Err(target.failed(&error).into()),
        }
        let Some(bytes) = self.verified(&linked.blob).await? else {
            warn!(%digest, "a blob could not be exported: it is damaged");
            return Ok(Outcome::Left);
        };
        // Whose fault it is when the copy breaks off.
        let is_bad = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_bad);
        let bytes = bytes.inspect_err(move |_| told.store(true, Ordering::Relaxed)).boxed();
        match target.files.write(&name, bytes).await {
            Ok(()) => Ok(Outcome::Copied(size)),
            Err(error) if is_bad.load(Ordering::Relaxed) => {
                warn!(%digest, %error, "a blob could not be exported");
                Ok(Outcome::Left)
            }
            Err(error) => Err(target.failed(&error).into()),
        }
    }
}
