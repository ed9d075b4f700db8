use std::collections::HashSet;
use std::time::{Duration, Instant};

use berth_metadata::{
    BlobLocation, FoundBlob, FoundLink, FoundTag, Misfit, Origins, UnlinkedReference, UpkeepStore,
};
use berth_oci::{Digest, RepositoryName, Tag};
use berth_storage_backends::{Found, FoundFile, StoreError, StoreFiles, tree, tree::TreeFile};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tracing::{debug, info};

use super::manifests::{self, Revision};
use super::{Finding, Imported};
use crate::control::Told;
use crate::{Registry, RegistryError};

/// How many links go into one transaction.
const LINKS: usize = 4000;

/// How many manifests are read together and go into one transaction, and how many tags.
const MANIFESTS: usize = 250;
const TAGS: usize = 1000;

/// How many misfits are asked for together.
const MISFITS: u32 = 1000;

/// How many files are read at the same time.
const READS: usize = 32;

/// The longest content of a link file that is read, in bytes.
const LINK: u64 = 4096;

/// How often the progress is told.
const PROGRESS: Duration = Duration::from_millis(250);

/// One pass over a tree.
pub(super) struct Pass<'a> {
    registry: &'a Registry,
    pub(super) upkeep: &'a dyn UpkeepStore,
    pub(super) files: &'a dyn StoreFiles,
    tell: &'a mpsc::Sender<Told>,
    pub(super) lease: Duration,
    pub(super) origins: Origins,
    pub(super) imported: Imported,
    links: Vec<FoundLink>,
    revisions: Vec<Revision>,
    tags: Vec<TagFile>,
    told_at: Instant,
}

/// The link file of a tag.
struct TagFile {
    repository: RepositoryName,
    tag: Tag,
    file: FoundFile,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        upkeep: &'a dyn UpkeepStore,
        files: &'a dyn StoreFiles,
        tell: &'a mpsc::Sender<Told>,
    ) -> Self {
        Self {
            registry,
            upkeep,
            files,
            tell,
            lease: registry.config().storage.maintenance.garbagecollection.lease.get(),
            origins: registry.mirror.origins(),
            imported: Imported::default(),
            links: Vec::new(),
            revisions: Vec::new(),
            tags: Vec::new(),
            told_at: Instant::now(),
        }
    }

    pub(super) async fn run(mut self, with_journal: bool) -> Result<Imported, RegistryError> {
        self.upkeep.begin_adoption().await?;
        if with_journal {
            self.replay_journal().await?;
            self.adopt_tags().await?;
            // A tag in a tree may be newer: another registry may be at work there.
            self.upkeep.begin_adoption().await?;
        }
        self.note_blobs().await?;
        self.walk_repositories().await?;
        self.adopt_tags().await?;
        self.link_what_manifests_need().await?;
        self.look_at_misfits().await?;
        let orphans = self.upkeep.orphans().await?;
        (self.imported.orphans, self.imported.orphan_bytes) = (orphans.count, orphans.bytes);
        self.upkeep.end_adoption().await?;
        let Imported { links, manifests, tags, findings, .. } = self.imported;
        info!(links, manifests, tags, findings, "the storage tree was taken over");
        Ok(self.imported)
    }

    async fn note_blobs(&mut self) -> Result<(), RegistryError> {
        let mut listing = self.files.list(tree::BLOBS);
        while let Some(batch) = listing.try_next().await? {
            let mut blobs = Vec::with_capacity(batch.len());
            for found in batch {
                let Some((file, known)) = self.look_at(found).await else { continue };
                let TreeFile::Data(digest) = known else { continue };
                self.imported.blobs += 1;
                self.imported.bytes += file.size;
                let location = BlobLocation(self.files.location_in_tree(&digest, file.size));
                let (size, written_at) = (file.size, file.modified);
                blobs.push(FoundBlob { digest, size, written_at, location });
            }
            self.upkeep.found_blobs(blobs).await?;
            self.progress().await;
        }
        Ok(())
    }

    async fn walk_repositories(&mut self) -> Result<(), RegistryError> {
        let mut listing = self.files.list(tree::REPOSITORIES);
        while let Some(batch) = listing.try_next().await? {
            for found in batch {
                self.imported.files += 1;
                let Some((file, known)) = self.look_at(found).await else { continue };
                self.take(file, known).await?;
            }
            self.progress().await;
        }
        self.adopt_links().await?;
        self.adopt_manifests().await?;
        self.note_tags().await
    }

    /// The file and what it is. What is nothing of use is told.
    async fn look_at(&mut self, found: Found) -> Option<(FoundFile, TreeFile)> {
        let file = match found {
            Found::File(file) => file,
            Found::Unreadable { name, reason } => {
                self.tell(Finding::Unreadable { path: name, reason }).await;
                return None;
            }
        };
        match TreeFile::of(&file.name) {
            Ok(known) => Some((file, known)),
            Err(oddity) => {
                let reason = oddity.to_string();
                self.tell(Finding::Foreign { path: file.name, reason }).await;
                None
            }
        }
    }

    async fn take(&mut self, file: FoundFile, known: TreeFile) -> Result<(), RegistryError> {
        let written_at = file.modified;
        match known {
            TreeFile::Layer(repository, digest) => {
                self.check_link(&file, &digest).await;
                self.links.push(FoundLink { repository, digest, written_at, in_tree: true });
                if self.links.len() >= LINKS {
                    self.adopt_links().await?;
                }
            }
            TreeFile::Revision(repository, digest) => {
                self.check_link(&file, &digest).await;
                self.revisions.push(Revision { repository, digest, written_at });
                if self.revisions.len() >= MANIFESTS {
                    self.adopt_manifests().await?;
                }
            }
            TreeFile::Tag(repository, tag) => {
                self.tags.push(TagFile { repository, tag, file });
                if self.tags.len() >= TAGS {
                    self.note_tags().await?;
                }
            }
            TreeFile::Upload if file.name.ends_with("/startedat") => self.imported.uploads += 1,
            TreeFile::Upload | TreeFile::TagHistory | TreeFile::Data(_) => {}
        }
        Ok(())
    }

    /// A link's name says all that its content does, so its size is enough to look at.
    async fn check_link(&mut self, file: &FoundFile, digest: &Digest) {
        let whole = digest.algorithm().as_str().len() + 1 + 2 * digest.algorithm().hash_len();
        // Other programs end it with a newline.
        if file.size < whole as u64 || file.size > whole as u64 + 1 {
            self.tell(Finding::LinkBroken { path: file.name.clone() }).await;
        }
    }

    async fn adopt_links(&mut self) -> Result<(), RegistryError> {
        let links = std::mem::take(&mut self.links);
        let adopted = self.upkeep.adopt_links(links, self.lease).await?;
        self.imported.links += adopted.new;
        // The old registry's garbage collection leaves such links; what a manifest needs is told of later.
        self.imported.stale_links += adopted.without_blob.len() as u64;
        Ok(())
    }

    async fn adopt_manifests(&mut self) -> Result<(), RegistryError> {
        let mut revisions = std::mem::take(&mut self.revisions);
        let names = revisions.iter().map(|one| (one.repository.clone(), one.digest)).collect();
        let unknown = self.upkeep.unknown_manifests(names).await?;
        let unknown: HashSet<_> = unknown.into_iter().collect();
        revisions.retain(|one| unknown.contains(&(one.repository.clone(), one.digest)));
        let files = self.files;
        let mut reading = stream::iter(revisions)
            .map(|revision| async move {
                let read = manifests::read(files, &revision).await;
                read.map(|read| (revision, read))
            })
            .buffer_unordered(READS);
        let mut usable = Vec::new();
        while let Some((revision, read)) = reading.try_next().await? {
            match read {
                Ok(mut found) => {
                    let repository = &found.manifest.repository;
                    found.manifest.mirrored = self.origins.of(repository);
                    usable.push(found);
                }
                Err(reason) => {
                    let Revision { repository, digest, .. } = revision;
                    self.tell(Finding::ManifestUnusable { repository, digest, reason }).await;
                }
            }
        }
        self.imported.manifests += usable.len() as u64;
        self.upkeep.adopt_manifests(usable).await?;
        Ok(())
    }

    async fn note_tags(&mut self) -> Result<(), RegistryError> {
        let files = self.files;
        let mut reading = stream::iter(std::mem::take(&mut self.tags))
            .map(|tag| async move {
                let content = files.read(&tag.file.name, LINK).await;
                (tag, content)
            })
            .buffer_unordered(READS);
        let mut found = Vec::new();
        while let Some((TagFile { repository, tag, file }, content)) = reading.next().await {
            let reason = match content {
                // Deleted since it was listed.
                Err(StoreError::NotFound) => continue,
                Err(StoreError::Io(error)) => format!("its link cannot be read: {error}"),
                Err(error) => return Err(error.into()),
                Ok(content) => match tree::linked(&content) {
                    Some(digest) => {
                        found.push(FoundTag { repository, tag, digest, written_at: file.modified });
                        continue;
                    }
                    None if content.is_empty() => "its link is empty".to_owned(),
                    None => "its link holds no digest".to_owned(),
                },
            };
            self.tell(Finding::TagBroken { repository, tag, reason }).await;
        }
        Ok(self.upkeep.found_tags(found).await?)
    }

    pub(super) async fn adopt_tags(&mut self) -> Result<(), RegistryError> {
        loop {
            let adopted = self.upkeep.adopt_tags(TAGS as u32, &self.origins).await?;
            self.imported.tags += adopted.new;
            for FoundTag { repository, tag, digest, .. } in adopted.dangling {
                self.tell(Finding::TagDangling { repository, tag, digest }).await;
            }
            self.progress().await;
            if adopted.looked_at == 0 {
                return Ok(());
            }
        }
    }

    /// Repairs what broken links leave: what a manifest of a repository needs is the repository's.
    async fn link_what_manifests_need(&mut self) -> Result<(), RegistryError> {
        let mut after = None;
        loop {
            let page = self.upkeep.unlinked_references(after, TAGS as u32).await?;
            self.link_references(page.references).await?;
            self.progress().await;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn link_references(
        &mut self,
        references: Vec<UnlinkedReference>,
    ) -> Result<(), RegistryError> {
        if references.is_empty() {
            return Ok(());
        }
        let written_at = self.registry.metadata.now().await?;
        let link = |reference: &UnlinkedReference| FoundLink {
            repository: reference.repository.clone(),
            digest: reference.blob,
            written_at,
            in_tree: false,
        };
        let links = references.iter().map(link).collect();
        let adopted = self.upkeep.adopt_links(links, self.lease).await?;
        self.imported.links += adopted.new;
        let missing: HashSet<_> =
            adopted.without_blob.into_iter().map(|link| (link.repository, link.digest)).collect();
        for UnlinkedReference { repository, manifest, blob } in references {
            let finding = match missing.contains(&(repository.clone(), blob)) {
                true => Finding::ReferenceMissing { repository, manifest, blob },
                false => Finding::LinkMade { repository, manifest, blob },
            };
            self.tell(finding).await;
        }
        Ok(())
    }

    /// Of a blob and a manifest that do not agree on its size one is wrong; the digest says which.
    async fn look_at_misfits(&mut self) -> Result<(), RegistryError> {
        loop {
            let misfits = self.upkeep.misfits(MISFITS).await?;
            if misfits.is_empty() {
                return Ok(());
            }
            for misfit in &misfits {
                self.look_at_misfit(misfit).await?;
            }
            self.upkeep.forget_misfits(misfits).await?;
            self.progress().await;
        }
    }

    async fn look_at_misfit(&mut self, misfit: &Misfit) -> Result<(), RegistryError> {
        let Misfit { digest, expected, found } = *misfit;
        let Some(blob) = self.upkeep.blob_anywhere(&digest).await? else { return Ok(()) };
        if self.registry.verify_and_quarantine(&blob).await?.is_some() {
            let reason = format!("it has {found} bytes where {expected} are expected");
            self.tell(Finding::BlobDamaged { digest, reason }).await;
        } else {
            debug!(%digest, expected, found, "a manifest tells another size than the blob has");
        }
        Ok(())
    }

    pub(super) async fn tell(&mut self, finding: Finding) {
        self.imported.findings += 1;
        debug!(%finding, "the storage tree is not as it should be");
        // Whoever asked may have gone.
        let _ = self.tell.send(Told::Found(finding)).await;
    }

    pub(super) async fn progress(&mut self) {
        if self.told_at.elapsed() >= PROGRESS {
            self.told_at = Instant::now();
            let _ = self.tell.send(Told::Importing(self.imported)).await;
        }
    }
}
