//! OCI image layouts: what `skopeo copy … oci:` writes, and what zot keeps, a layout in each repository's folder.

use berth_oci::{
    Child, Digest, Hasher, Manifest, ManifestKind, Reference, RepositoryName, Tag, UploadId,
};
use berth_storage_backends::StoreError;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::layouts::Layouts;
use super::{Finding, Imported};
use crate::control::Told;
use crate::error::UpkeepError;
use crate::services::PushManifest;
use crate::{Place, Registry, RegistryError};

/// The largest manifest or index that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// The file that tells which manifests a layout has.
const INDEX: &str = "index.json";

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
    /// Copies the images of an OCI image layout into a repository, or those of all layouts in a place into
    /// repositories called as their folders are. What is here already is left as it is.
    ///
    /// # Errors
    /// When there is no layout, or when a storage or the database fails.
    pub async fn import_layouts(
        &self,
        from: &Place,
        name: Option<RepositoryName>,
        tell: &mpsc::Sender<Told>,
    ) -> Result<Imported, RegistryError> {
        self.refuse_when_read_only()?;
        let store = from.open_to_read()?;
        let files = store.files().ok_or(UpkeepError::NoFiles)?;
        let mut layouts = Layouts::find(from, files).await?;
        let named = layouts.named(name)?;
        let mut imported = Imported::default();
        for finding in layouts.findings.drain(..) {
            imported.findings += 1;
            // Whoever asked may have gone.
            let _ = tell.send(Told::Found(finding)).await;
        }
        for (folder, repository) in named {
            let layouts = &layouts;
            let mut copy = Copy { registry: self, layouts, folder, repository, imported, tell };
            copy.run().await?;
            imported = copy.imported;
        }
        self.settle_links().await?;
        Ok(imported)
    }
}

/// The copying of one layout.
struct Copy<'a> {
    registry: &'a Registry,
    layouts: &'a Layouts<'a>,
    /// The layout's.
    folder: String,
    repository: RepositoryName,
    imported: Imported,
    tell: &'a mpsc::Sender<Told>,
}

impl Copy<'_> {
    async fn run(&mut self) -> Result<(), RegistryError> {
        let bytes = self.layouts.read(&self.folder, INDEX, LARGEST).await?;
        let index: Index = match serde_json::from_slice(&bytes) {
            Ok(index) => index,
            Err(error) => {
                let (path, reason) = (format!("{}/{INDEX}", self.folder), error.to_string());
                self.tell(Finding::Unreadable { path, reason }).await;
                return Ok(());
            }
        };
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
            let payload = match self.read(&digest).await? {
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
                Child::Manifest(child) => {
                    // An index may name what the layout does not have.
                    if self.layouts.open(&self.folder, &child.digest).await?.is_none() {
                        continue;
                    }
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
        let Some(open) = self.layouts.open(&self.folder, &digest).await? else {
            return Ok(Err(format!("its blob {digest} is not there")));
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

    /// The bytes of a manifest; a text tells why it cannot be had.
    async fn read(&self, digest: &Digest) -> Result<Result<Bytes, String>, RegistryError> {
        let Some(open) = self.layouts.open(&self.folder, digest).await? else {
            return Ok(Err("the layout does not have it".to_owned()));
        };
        if open.size > LARGEST {
            return Ok(Err(format!("it has {} bytes", open.size)));
        }
        let read = open.into_stream().try_collect::<Vec<_>>().await;
        let bytes = match read {
            Ok(chunks) => Bytes::from(chunks.concat()),
            Err(StoreError::Io(error)) => return Ok(Err(error.to_string())),
            Err(error) => return Err(self.layouts.failed(&error).into()),
        };
        Ok(match Hasher::digest(digest.algorithm(), &bytes) == *digest {
            true => Ok(bytes),
            false => Err("its bytes are not what the digest says".to_owned()),
        })
    }

    async fn tell(&mut self, finding: Finding) {
        self.imported.findings += 1;
        // Whoever asked may have gone.
        let _ = self.tell.send(Told::Found(finding)).await;
    }
}
