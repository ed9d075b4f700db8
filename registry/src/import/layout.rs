//! OCI image layouts: what `skopeo copy … oci:` writes, and what zot keeps, a layout in each repository's folder.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use berth_oci::{
    Child, Digest, Hasher, Manifest, ManifestKind, Reference, RepositoryName, Tag, UploadId,
};
use berth_storage_backends::{BlobContent, OpenBlob};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{Finding, Imported};
use crate::control::Told;
use crate::error::UpkeepError;
use crate::services::PushManifest;
use crate::{Registry, RegistryError};

/// The largest manifest or index that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// The annotation that tells a manifest's tag.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// How deep indexes may name one another.
const DEEPEST: usize = 8;

/// `index.json`, as far as it matters here.
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    digest: Digest,
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

impl Registry {
    /// Copies the images of an OCI image layout into a repository, or those of all layouts below a folder into
    /// repositories called as their folders are. What is here already is left as it is.
    ///
    /// # Errors
    /// When there is no layout, or when the storage or the database fails.
    pub async fn import_layouts(
        &self,
        folder: &Path,
        name: Option<RepositoryName>,
        tell: &mpsc::Sender<Told>,
    ) -> Result<Imported, RegistryError> {
        self.refuse_when_read_only()?;
        let layouts = layouts(folder, name)?;
        let mut imported = Imported::default();
        for (folder, repository) in layouts {
            let mut copy = Copy { registry: self, folder, repository, imported, tell };
            copy.run().await?;
            imported = copy.imported;
        }
        self.settle_links().await?;
        Ok(imported)
    }
}

/// The layouts in a folder, each with the repository that it goes to.
fn layouts(
    folder: &Path,
    name: Option<RepositoryName>,
) -> Result<Vec<(PathBuf, RepositoryName)>, RegistryError> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        if next.join("oci-layout").is_file() {
            found.push(next);
            continue;
        }
        let entries = fs::read_dir(&next).map_err(|error| unreadable(&next, &error))?;
        let folders = entries.flatten().filter(|it| it.file_type().is_ok_and(|it| it.is_dir()));
        waiting.extend(folders.map(|entry| entry.path()));
    }
    found.sort();
    match (&found[..], name) {
        ([], _) => Err(UpkeepError::NoLayout(folder.to_owned()).into()),
        ([one], Some(name)) => Ok(vec![(one.clone(), name)]),
        (_, Some(_)) => Err(UpkeepError::ManyLayouts(folder.to_owned()).into()),
        (_, None) => found.into_iter().map(|it| named(folder, it)).collect(),
    }
}

/// A repository is called as its folder is; a layout by itself as its own.
fn named(folder: &Path, layout: PathBuf) -> Result<(PathBuf, RepositoryName), RegistryError> {
    let below = layout.strip_prefix(folder).ok().filter(|path| !path.as_os_str().is_empty());
    let name = below.or_else(|| layout.file_name().map(Path::new)).and_then(Path::to_str);
    match name.unwrap_or_default().parse() {
        Ok(name) => Ok((layout, name)),
        Err(_) => Err(UpkeepError::LayoutName(layout).into()),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> RegistryError {
    UpkeepError::Unreadable(format!("{}: {error}", path.display())).into()
}

/// The copying of one layout.
struct Copy<'a> {
    registry: &'a Registry,
    folder: PathBuf,
    repository: RepositoryName,
    imported: Imported,
    tell: &'a mpsc::Sender<Told>,
}

impl Copy<'_> {
    async fn run(&mut self) -> Result<(), RegistryError> {
        let path = self.folder.join("index.json");
        let bytes = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        let index: Index = serde_json::from_slice(&bytes)
            .map_err(|error| UpkeepError::Unreadable(format!("{}: {error}", path.display())))?;
        for entry in index.manifests {
            let tag = self.tag_of(&entry).await;
            match self.manifest(entry.digest, entry.media_type, tag, DEEPEST).await? {
                Ok(()) => {}
                Err(reason) => {
                    let (repository, digest) = (self.repository.clone(), entry.digest);
                    self.tell(Finding::ManifestUnusable { repository, digest, reason }).await;
                }
            }
            // Whoever asked may have gone.
            let _ = self.tell.send(Told::Importing(self.imported)).await;
        }
        Ok(())
    }

    /// Some programs write a whole reference.
    async fn tag_of(&mut self, entry: &Entry) -> Option<Tag> {
        let name = entry.annotations.get(REF_NAME)?;
        let tag = name.rsplit_once(':').filter(|_| name.contains('/')).map_or(&**name, |it| it.1);
        if let Ok(tag) = tag.parse() {
            return Some(tag);
        }
        let (path, reason) = (name.clone(), "the annotation is no tag".to_owned());
        self.tell(Finding::Foreign { path, reason }).await;
        None
    }

    /// Stores a manifest after all that it names; a text tells why it cannot be.
    fn manifest(
        &mut self,
        digest: Digest,
        media_type: Option<String>,
        tag: Option<Tag>,
        depth: usize,
    ) -> BoxFuture<'_, Result<Result<(), String>, RegistryError>> {
        Box::pin(async move {
            if depth == 0 {
                return Ok(Err("indexes name one another too deep".to_owned()));
            }
            let payload = match self.read(&digest) {
                Ok(payload) => payload,
                Err(reason) => return Ok(Err(reason)),
            };
            let manifest = match Manifest::parse(media_type.as_deref(), &payload) {
                Ok(manifest) => manifest,
                Err(error) => return Ok(Err(error.to_string())),
            };
            if let Err(reason) = self.children(&manifest, depth).await? {
                return Ok(Err(reason));
            }
            let is_tagged = tag.is_some();
            let push = PushManifest {
                repository: self.repository.clone(),
                reference: Reference::Digest(digest),
                tags: tag.into_iter().collect(),
                content_type: Some(manifest.media_type),
                payload,
                origin: self.registry.notifications.own_origin(&self.registry.config()),
            };
            match self.registry.push_manifest(push).await {
                Ok(_) => {
                    self.imported.manifests += 1;
                    self.imported.tags += u64::from(is_tagged);
                    Ok(Ok(()))
                }
                Err(
                    error @ (RegistryError::ManifestBlobUnknown(_)
                    | RegistryError::ManifestInvalid(_)
                    | RegistryError::TagImmutable { .. }
                    | RegistryError::UrlDenied(_)),
                ) => Ok(Err(error.to_string())),
                Err(error) => Err(error),
            }
        })
    }

    async fn children(
        &mut self,
        manifest: &Manifest,
        depth: usize,
    ) -> Result<Result<(), String>, RegistryError> {
        for child in manifest.children() {
            let outcome = match child {
                Child::Blob(blob) => self.blob(blob.digest).await?,
                // An index may name what the layout does not have.
                Child::Manifest(child) if !self.path(&child.digest).is_file() => Ok(()),
                Child::Manifest(child) => {
                    let media_type = Some(child.media_type.clone());
                    self.manifest(child.digest, media_type, None, depth - 1).await?
                }
            };
            if outcome.is_err() && matches!(manifest.kind, ManifestKind::Image { .. }) {
                return Ok(outcome);
            }
        }
        Ok(Ok(()))
    }

    async fn blob(&mut self, digest: Digest) -> Result<Result<(), String>, RegistryError> {
        if self.registry.metadata.blob(&self.repository, &digest).await?.is_some() {
            return Ok(Ok(()));
        }
        let opened = File::open(self.path(&digest)).and_then(|file| {
            let size = file.metadata()?.len();
            Ok(OpenBlob { size, content: BlobContent::File(Arc::new(file)) })
        });
        let open = match opened {
            Ok(open) => open,
            Err(error) => return Ok(Err(format!("its blob {digest} cannot be read: {error}"))),
        };
        let size = open.size;
        let handle = self.registry.blobs.begin_upload(UploadId::random()).await?;
        let stored =
            self.registry.store_stream(&handle, open.into_stream(), &self.repository, &digest);
        match stored.await {
            Ok(()) => {
                self.imported.blobs += 1;
                self.imported.bytes += size;
                self.imported.links += 1;
                Ok(Ok(()))
            }
            Err(error) => {
                // If this fails too, the housekeeping finds the bytes.
                let _ = self.registry.blobs.abort_upload(&handle).await;
                match error {
                    RegistryError::DigestMismatch(wrong) => {
                        Ok(Err(format!("its blob is damaged: {wrong}")))
                    }
                    error => Err(error),
                }
            }
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
    }

    fn read(&self, digest: &Digest) -> Result<Bytes, String> {
        let path = self.path(digest);
        let size = fs::metadata(&path).map_err(|error| error.to_string())?.len();
        if size > LARGEST {
            return Err(format!("it has {size} bytes"));
        }
        let bytes = fs::read(&path).map_err(|error| error.to_string())?;
        match Hasher::digest(digest.algorithm(), &bytes) == *digest {
            true => Ok(bytes.into()),
            false => Err("its bytes are not what the digest says".to_owned()),
        }
    }

    async fn tell(&mut self, finding: Finding) {
        self.imported.findings += 1;
        // Whoever asked may have gone.
        let _ = self.tell.send(Told::Found(finding)).await;
    }
}
