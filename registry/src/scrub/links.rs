use berth_metadata::{TreeEntry, UpkeepStore};
use berth_oci::{Digest, LinkChange, Reference, RepositoryName};
use berth_storage_backends::{LinkTree, StoreError, StoreFiles, tree};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tracing::warn;

use crate::{Registry, RegistryError};

/// How many entries are looked at together.
const PAGE: u32 = 512;

/// How many files are read at the same time.
const READS: usize = 16;

/// The longest content of a link file that is read, in bytes.
const LINK: u64 = 4096;

impl Registry {
    /// Compares the link files of the storage tree with the database, and writes those anew that are
    /// missing or hold something else. Gives how many.
    pub(super) async fn repair_links(
        &self,
        upkeep: &dyn UpkeepStore,
    ) -> Result<u64, RegistryError> {
        let (Some(links), Some(files)) = (self.blobs.link_tree(), self.blobs.files()) else {
            return Ok(0);
        };
        let mut repaired = 0;
        let mut after = None;
        loop {
            let page = upkeep.tree_entries(after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(repaired) };
            after = Some(last.clone());
            let entries = page.into_iter().map(|(_, entry)| entry);
            let wrong = wrong(files, entries.collect()).await?;
            if !wrong.is_empty() {
                repaired += self.write_anew(links, files, wrong).await?;
            }
        }
    }

    /// The tree follows the database a little behind it: what is wrong once it has caught up, and while it
    /// stands still, is wrong indeed.
    async fn write_anew(
        &self,
        links: &dyn LinkTree,
        files: &dyn StoreFiles,
        suspects: Vec<TreeEntry>,
    ) -> Result<u64, RegistryError> {
        self.settle_links().await?;
        let _hold = self.hold_links().await;
        let mut changes = Vec::new();
        for entry in wrong(files, suspects).await? {
            warn!(
                ?entry,
                "a link file of the storage tree is missing or wrong; it is written anew"
            );
            changes.extend(self.change_for(files, entry).await?);
        }
        let count = changes.len() as u64;
        links.apply(changes).await?;
        Ok(count)
    }

    /// What makes the tree right again; nothing when the entry is gone by now.
    async fn change_for(
        &self,
        files: &dyn StoreFiles,
        entry: TreeEntry,
    ) -> Result<Option<LinkChange>, RegistryError> {
        Ok(match entry {
            TreeEntry::Blob(repository, digest) => {
                let linked = self.metadata.blob(&repository, &digest).await?;
                linked.map(|_| LinkChange::LinkBlob { repository, digest })
            }
            TreeEntry::Manifest(repository, digest) => {
                let payload = self.payload(&repository, &digest).await?;
                if let Some(payload) = &payload {
                    replace(files, &digest, payload.clone()).await?;
                }
                payload.map(|payload| LinkChange::PutManifest { repository, digest, payload })
            }
            TreeEntry::Tag(repository, tag, _) => {
                let reference = Reference::Tag(tag.clone());
                let found = self.metadata.manifest(&repository, &reference).await?;
                found.map(|found| LinkChange::SetTag { repository, tag, digest: found.digest })
            }
        })
    }

    async fn payload(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Bytes>, RegistryError> {
        let found = self.metadata.manifest(repository, &Reference::Digest(*digest)).await?;
        Ok(found.map(|found| found.payload.clone()))
    }
}

/// Writes the file of a manifest over what may stand there.
async fn replace(
    files: &dyn StoreFiles,
    digest: &Digest,
    payload: Bytes,
) -> Result<(), StoreError> {
    files.write(&tree::data(digest), stream::iter([Ok(payload)]).boxed()).await
}

/// Those of some entries whose files are missing or wrong.
async fn wrong(
    files: &dyn StoreFiles,
    entries: Vec<TreeEntry>,
) -> Result<Vec<TreeEntry>, StoreError> {
    stream::iter(entries)
        .map(|entry| async move {
            let is_right = is_right(files, &entry).await?;
            Ok::<_, StoreError>((!is_right).then_some(entry))
        })
        .buffered(READS)
        .try_filter_map(|wrong| std::future::ready(Ok(wrong)))
        .try_collect()
        .await
}

async fn is_right(files: &dyn StoreFiles, entry: &TreeEntry) -> Result<bool, StoreError> {
    let (name, digest) = match entry {
        TreeEntry::Blob(repository, digest) => (tree::layer(repository, digest), digest),
        TreeEntry::Manifest(repository, digest) => (tree::revision(repository, digest), digest),
        TreeEntry::Tag(repository, tag, digest) => (tree::tag(repository, tag), digest),
    };
    Ok(match files.read(&name, LINK).await {
        Ok(content) => tree::linked(&content) == Some(*digest),
        Err(StoreError::NotFound | StoreError::Io(_)) => false,
        Err(error) => return Err(error),
    })
}
