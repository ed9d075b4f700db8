//! Images to registries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use berth_client::{BegunUpload, ClientError, UploadSession};
use berth_oci::{Descriptor, Digest, Reference, RepositoryName};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::error::{Doing as _, ImageError};
use super::name::ImageReference;
use super::progress::{Progress, Step, short};
use super::pull::{refused, runtime};
use super::registry::{Source, registry};
use super::store::{Image, ImageStore};
use crate::layers::LayerStore;

/// How many layers are under way at the same time, as with docker.
const AT_A_TIME: usize = 5;

/// How often a layer is sent.
const TRIES: u32 = 5;

/// How much is sent at a time.
const PIECE: usize = 256 << 10;

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The digest of the manifest.
    pub digest: Digest,
    /// Its size.
    pub size: u64,
}

/// Pushes the image of a name to the registry of that name. What is there already is left out, and what
/// is there in another repository is linked from it.
///
/// It blocks: registries are spoken to in a runtime of its own.
///
/// # Errors
/// See [`ImageError`]. What was pushed before stays.
pub fn push(
    images: &ImageStore,
    layers: &LayerStore,
    name: &ImageReference,
    progress: &dyn Progress,
) -> Result<Pushed, ImageError> {
    let name = name.or_latest();
    let _lease = images.lease()?;
    let image = images.find(&name.to_string()).map_err(|error| match error {
        ImageError::NotFound(_) => {
            let repository = name.familiar_repository();
            let words = "An image does not exist locally with the tag";
            ImageError::Refused(format!("{words}: {repository}"))
        }
        error => error,
    })?;
    let tag = name.tag().filter(|_| name.digest().is_none());
    let tag =
        tag.ok_or_else(|| ImageError::Refused("cannot push a digest reference".to_owned()))?;
    let source = registry(&name, images.settings())?;
    let push = Push { images, layers, name: &name, target: &source, progress };
    let runtime = runtime()?;
    let pushed = runtime.block_on(push.run(&image, &Reference::Tag(tag.clone())));
    runtime.shutdown_background();
    let pushed = pushed?;
    let by_digest = name.with_digest(pushed.digest).to_string();
    images.change(|catalogue| {
        catalogue.names.insert(by_digest, image.id);
        Ok(())
    })?;
    Ok(pushed)
}

struct Push<'a> {
    images: &'a ImageStore,
    layers: &'a LayerStore,
    name: &'a ImageReference,
    target: &'a Source,
    progress: &'a dyn Progress,
}

impl Push<'_> {
    async fn run(&self, image: &Image, reference: &Reference) -> Result<Pushed, ImageError> {
        let manifest = &image.manifest;
        let parts = self.images.parts(manifest)?;
        let mut layers: Vec<&Descriptor> = Vec::new();
        for layer in &parts.layers {
            if !layers.iter().any(|known| known.digest == layer.digest) {
                self.progress.layer(&short(&layer.digest), Step::Preparing);
                layers.push(layer);
            }
        }
        let elsewhere = self.elsewhere(image)?;
        let pushes = layers.into_iter().map(|layer| self.layer(layer, &elsewhere));
        stream::iter(pushes).buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await?;
        self.blob(&parts.config, &elsewhere, |_| {}).await?;
        let payload = Bytes::from(self.images.read(&manifest.digest)?);
        let Source { client, repository } = self.target;
        let put = client.put_manifest(repository, reference, &manifest.media_type, payload);
        put.await.map_err(|error| self.refused(error))?;
        Ok(Pushed { digest: manifest.digest, size: manifest.size })
    }

    /// Another repository of the same registry that has this image.
    fn elsewhere(&self, image: &Image) -> Result<Option<RepositoryName>, ImageError> {
        let names = self.images.catalogue()?.names_of(&image.id);
        let mut others = names.into_iter().filter(|other| {
            // Only what has a digest was ever there.
            other.digest().is_some()
                && other.domain() == self.name.domain()
                && other.path() != self.name.path()
        });
        Ok(others.next().map(|other| other.path().clone()))
    }

    async fn layer(
        &self,
        layer: &Descriptor,
        elsewhere: &Option<RepositoryName>,
    ) -> Result<(), ImageError> {
        let id = short(&layer.digest);
        self.blob(layer, elsewhere, |step| self.progress.layer(&id, step)).await
    }

    async fn blob(
        &self,
        blob: &Descriptor,
        elsewhere: &Option<RepositoryName>,
        tell: impl Fn(Step),
    ) -> Result<(), ImageError> {
        let Source { client, repository } = self.target;
        match client.blob_size(repository, &blob.digest).await {
            Ok(_) => {
                tell(Step::LayerAlreadyExists);
                return Ok(());
            }
            Err(ClientError::NotFound { .. }) => {}
            Err(error) => return Err(self.refused(error)),
        }
        let begun = client.begin_upload(repository, &blob.digest, elsewhere.as_ref()).await;
        match begun.map_err(|error| self.refused(error))? {
            BegunUpload::Mounted => {
                let from = elsewhere.as_ref().map(ToString::to_string).unwrap_or_default();
                tell(Step::Mounted(from));
            }
            BegunUpload::Session(session) => {
                self.send(session, blob, &tell).await?;
                tell(Step::Pushed);
            }
        }
        Ok(())
    }

    /// Sends a blob. When that breaks off it goes on where the registry is, or begins anew where that
    /// knows nothing of it any longer.
    async fn send(
        &self,
        mut session: UploadSession,
        blob: &Descriptor,
        tell: &impl Fn(Step),
    ) -> Result<(), ImageError> {
        let Source { client, repository } = self.target;
        tell(Step::Pushing { done: session.offset(), of: blob.size });
        let mut tries = 0;
        loop {
            let error = match self.append(&mut session, blob, tell).await? {
                Ok(()) => break,
                Err(error) => error,
            };
            tries += 1;
            if tries == TRIES || !error.is_outage() {
                return Err(self.refused(error));
            }
            let before = session.offset();
            if client.upload_status(&mut session).await.is_ok() && session.offset() > before {
                continue;
            }
            let begun = client.begin_upload(repository, &blob.digest, None).await;
            session = match begun.map_err(|error| self.refused(error))? {
                BegunUpload::Mounted => return Ok(()),
                BegunUpload::Session(session) => session,
            };
        }
        let finished = client.finish_upload(session, &blob.digest).await;
        finished.map_err(|error| self.refused(error))
    }

    /// Sends the bytes behind those that the registry has, and tells how far they are.
    async fn append(
        &self,
        session: &mut UploadSession,
        blob: &Descriptor,
        tell: &impl Fn(Step),
    ) -> Result<Result<(), ClientError>, ImageError> {
        let (digest, offset) = (blob.digest, session.offset());
        let mut content = self.images.content(self.layers, &digest)?;
        let skipped =
            std::io::copy(&mut std::io::Read::take(&mut content, offset), &mut std::io::sink());
        skipped.doing(|| format!("read the blob {digest}"))?;
        let sent = Arc::new(AtomicU64::new(offset));
        let counter = sent.clone();
        let registry = self.target.client.url().authority();
        let bytes = stream::unfold(content, move |mut content| {
            let (counter, registry) = (counter.clone(), registry.clone());
            async move {
                // The file is local: reading a piece of it holds up nothing but this upload.
                let mut piece = vec![0; PIECE];
                match std::io::Read::read(&mut content, &mut piece) {
                    Ok(0) => None,
                    Ok(count) => {
                        piece.truncate(count);
                        counter.fetch_add(count as u64, Ordering::Relaxed);
                        Some((Ok(Bytes::from(piece)), content))
                    }
                    Err(error) => {
                        let reason = format!("the blob cannot be read: {error}");
                        Some((Err(ClientError::Unavailable { registry, reason }), content))
                    }
                }
            }
        });
        let append = self.target.client.append(session, bytes);
        let mut append = std::pin::pin!(append);
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
        loop {
            tokio::select! {
                sent = &mut append => return Ok(sent),
                _ = tick.tick() => {
                    tell(Step::Pushing { done: sent.load(Ordering::Relaxed), of: blob.size });
                }
            }
        }
    }

    fn refused(&self, error: ClientError) -> ImageError {
        refused("push", self.name, error)
    }
}
