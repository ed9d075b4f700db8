use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use berth_metadata::{ManifestRecord, TreeEntry};
use berth_oci::{Digest, Reference, RepositoryName, Tag};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::warn;

use super::Exported;
use crate::control::Told;
use crate::error::UpkeepError;
use crate::{Registry, RegistryError};

/// How many entries are looked at together.
const PAGE: u32 = 512;

impl Registry {
    /// Writes a repository into a folder as an OCI image layout. Blobs that are there already are left.
    /// Memory grows with the number of its manifests and tags, which stand in one `index.json`.
    ///
    /// # Errors
    /// When there is no such repository, or when the database, the store or the folder fails.
    pub async fn export_layout(
        &self,
        repository: &RepositoryName,
        folder: &Path,
        tell: &mpsc::Sender<Told>,
    ) -> Result<Exported, RegistryError> {
        if !self.metadata.repository_exists(repository).await? {
            return Err(RegistryError::NameUnknown(repository.clone()));
        }
        let upkeep = self.upkeep()?;
        let mut layout = Layout { folder, index: Vec::new(), tags: HashMap::new() };
        let mut exported = Exported::default();
        let mut after = None;
        loop {
            let page = upkeep.tree_entries(after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (_, entry) in page {
                self.export_entry(&mut layout, repository, entry, &mut exported).await?;
            }
            // Whoever asked may have gone.
            let _ = tell.send(Told::Exporting(exported)).await;
        }
        layout.finish().map_err(|error| unwritable(folder, &error))?;
        Ok(exported)
    }

    async fn export_entry(
        &self,
        layout: &mut Layout<'_>,
        wanted: &RepositoryName,
        entry: TreeEntry,
        exported: &mut Exported,
    ) -> Result<(), RegistryError> {
        match entry {
            TreeEntry::Blob(repository, digest) if repository == *wanted => {
                self.export_to_layout(layout, wanted, &digest, exported).await?;
            }
            TreeEntry::Manifest(repository, digest) if repository == *wanted => {
                let reference = Reference::Digest(digest);
                let found = self.metadata.manifest(wanted, &reference).await?;
                // Deleted since it was listed.
                let Some(found) = found else { return Ok(()) };
                let written = layout.add(&found);
                written.map_err(|error| unwritable(layout.folder, &error))?;
                exported.manifests += 1;
            }
            TreeEntry::Tag(repository, tag, digest) if repository == *wanted => {
                layout.tags.entry(digest).or_default().push(tag);
                exported.tags += 1;
            }
            _ => {}
        }
        Ok(())
    }

    async fn export_to_layout(
        &self,
        layout: &Layout<'_>,
        repository: &RepositoryName,
        digest: &Digest,
        exported: &mut Exported,
    ) -> Result<(), RegistryError> {
        let Some(linked) = self.metadata.blob(repository, digest).await? else { return Ok(()) };
        let path = layout.path(digest);
        if fs::metadata(&path).is_ok_and(|there| there.len() == linked.blob.size) {
            return Ok(());
        }
        let Some(mut bytes) = self.verified(&linked.blob).await? else {
            exported.left += 1;
            return Ok(());
        };
        let unwritable = |error: io::Error| unwritable(&path, &error);
        let scratch = path.with_extension("part");
        let mut file = create(&scratch).map_err(unwritable)?;
        loop {
            match bytes.try_next().await {
                Ok(Some(chunk)) => file.write_all(&chunk).map_err(unwritable)?,
                Ok(None) => break,
                Err(error) => {
                    warn!(%repository, %digest, %error, "a blob could not be exported");
                    exported.left += 1;
                    return fs::remove_file(&scratch).map_err(unwritable);
                }
            }
        }
        file.sync_all().and_then(|()| fs::rename(&scratch, &path)).map_err(unwritable)?;
        exported.blobs += 1;
        exported.bytes += linked.blob.size;
        Ok(())
    }
}

/// A layout in the making.
struct Layout<'a> {
    folder: &'a Path,
    /// The descriptors of all manifests.
    index: Vec<(Digest, Value)>,
    tags: HashMap<Digest, Vec<Tag>>,
}

impl Layout<'_> {
    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
    }

    fn add(&mut self, manifest: &ManifestRecord) -> io::Result<()> {
        write(&self.path(&manifest.digest), &manifest.payload)?;
        let descriptor = json!({
            "mediaType": manifest.media_type,
            "digest": manifest.digest,
            "size": manifest.payload.len(),
        });
        self.index.push((manifest.digest, descriptor));
        Ok(())
    }

    /// What makes it one comes last.
    fn finish(mut self) -> io::Result<()> {
        let mut manifests = Vec::new();
        for (digest, descriptor) in std::mem::take(&mut self.index) {
            let tags = self.tags.remove(&digest).unwrap_or_default();
            if tags.is_empty() {
                manifests.push(descriptor);
                continue;
            }
            for tag in tags {
                let mut descriptor = descriptor.clone();
                descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
                manifests.push(descriptor);
            }
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": manifests,
        });
        write(&self.folder.join("index.json"), index.to_string().as_bytes())?;
        write(&self.folder.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)
    }
}

fn create(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    File::create(path)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn unwritable(path: &Path, error: &io::Error) -> RegistryError {
    UpkeepError::Unreadable(format!("{}: {error}", path.display())).into()
}
