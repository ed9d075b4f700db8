//! Images from registries.

mod layer;
mod manifest;
pub(super) mod nearby;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use berth_client::ClientError;
use berth_oci::{Descriptor, Digest, Reference, Tag};
use tokio::runtime::Runtime;

use self::layer::LayerPull;
use self::manifest::Found;
use super::config::ImageConfig;
use super::error::{Doing as _, ImageError};
use super::name::ImageReference;
use super::platform::{Target, in_words};
use super::progress::{Progress, Step, short};
use super::registry::{Source, registry, sources};
use super::store::{Image, ImageParts, ImageStore};
use crate::layers::{LayerStore, Limits};

/// How many layers are under way at the same time.
const AT_A_TIME: usize = 3;

/// How many tags are asked for at a time.
const TAGS: usize = 1000;

/// How to pull.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// What the image is for; this machine, where nothing is said.
    pub platform: Option<Target>,
    /// What a layer may be.
    pub limits: Limits,
}

/// What was pulled.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The image.
    pub image: Image,
    /// The digest by which its registry has it: of the index, where there is one.
    pub digest: Digest,
    /// Whether the name stood for something else before.
    pub is_new: bool,
}

/// Pulls an image, and keeps it. What is here already is left where it is; what broke off before goes on.
///
/// It blocks: registries are spoken to in a runtime of its own.
///
/// # Errors
/// See [`ImageError`]. What came before an outage stays for the next time, and nothing else.
pub fn pull(
    images: &ImageStore,
    layers: &LayerStore,
    name: &ImageReference,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Pulled, ImageError> {
    let runtime = runtime()?;
    let pull = Pull { images, layers, options, progress, runtime: &runtime };
    let pulled = pull.run(&name.or_latest());
    runtime.shutdown_background();
    pulled
}

/// The tags of a repository.
///
/// # Errors
/// See [`ImageError`].
pub fn remote_tags(images: &ImageStore, name: &ImageReference) -> Result<Vec<Tag>, ImageError> {
    let source = registry(name, images.settings())?;
    let runtime = runtime()?;
    let mut found: Vec<Tag> = Vec::new();
    loop {
        let after = found.last().map(|tag| tag.as_str().to_owned());
        let page = source.client.tags(&source.repository, after.as_deref(), TAGS);
        let (tags, more) = runtime.block_on(page).map_err(|error| refused("pull", name, error))?;
        let is_end = !more || tags.is_empty();
        found.extend(tags);
        if is_end {
            return Ok(found);
        }
    }
}

/// The runtime of one command: registries are spoken to beside the threads that do the work.
pub(super) fn runtime() -> Result<Runtime, ImageError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().doing(|| "start to speak to a registry")
}

/// What a registry refused, in docker's words.
pub(super) fn refused(
    action: &'static str,
    name: &ImageReference,
    error: ClientError,
) -> ImageError {
    match error {
        ClientError::Denied { reason, .. } | ClientError::Unauthorized { reason, .. } => {
            ImageError::Denied { action, name: name.familiar_repository(), reason }
        }
        ClientError::NotFound { .. } if action == "pull" => {
            ImageError::NoManifest { name: name.familiar(), reason: error.to_string() }
        }
        error => error.into(),
    }
}

/// A pull that is under way.
struct Pull<'a> {
    images: &'a ImageStore,
    layers: &'a LayerStore,
    options: &'a PullOptions,
    progress: &'a dyn Progress,
    runtime: &'a Runtime,
}

/// A repository and the image in it.
struct Chosen {
    source: Source,
    /// What the name stands for.
    top: Found,
    /// The image, where that is an index.
    image: Found,
}

impl Pull<'_> {
    fn run(&self, name: &ImageReference) -> Result<Pulled, ImageError> {
        let chosen = self.resolve(name)?;
        let lease = self.images.lease()?;
        let pulled = self.take(name, &chosen);
        drop(lease);
        match &pulled {
            Ok(_) => self.images.sweep_if_wished(self.layers)?,
            // Nobody would come back for the rest.
            Err(error) if !error.is_outage() => drop(self.images.sweep(self.layers)),
            Err(_) => {}
        }
        pulled
    }

    /// Asks one after the other for the manifest. What goes wrong at a mirror is no reason to fail.
    fn resolve(&self, name: &ImageReference) -> Result<Chosen, ImageError> {
        let mut sources = VecDeque::from(sources(name, self.images.settings())?);
        loop {
            let Some(source) = sources.pop_front() else {
                return Err(ImageError::NotFound(name.familiar()));
            };
            match self.choose(source, name) {
                Ok(chosen) => return Ok(chosen),
                Err(error) if sources.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
    }

    fn choose(&self, source: Source, name: &ImageReference) -> Result<Chosen, ImageError> {
        let reference = name.reference().ok_or_else(|| ImageError::reference(""))?;
        let top = self.manifest(&source, name, &reference)?;
        let target = self.options.platform.clone().unwrap_or_else(Target::host);
        let image = match top.index() {
            None => top.clone(),
            Some(manifests) => {
                let chosen = target.choose(manifests);
                let chosen = chosen.ok_or_else(|| ImageError::NoPlatform(target.to_string()))?;
                self.manifest(&source, name, &Reference::Digest(chosen.digest))?
            }
        };
        Ok(Chosen { source, top, image })
    }

    fn take(&self, name: &ImageReference, chosen: &Chosen) -> Result<Pulled, ImageError> {
        let familiar = name.familiar();
        let Chosen { source, top, image } = chosen;
        let parts = ImageParts::of(image.manifest.clone(), &familiar)?;
        let nearby = nearby::storage_of(source, self.images.settings());
        // Links to what is on the disk already need not be waited for.
        if let Some(storage) = &nearby {
            for small in [&parts.config, &image.descriptor()] {
                nearby::take_over_verified(self.images.blobs(), storage, small)?;
            }
        }
        let config = self.config(source, name, &parts.config)?;
        parts.check(&config, &familiar)?;
        self.check_platform(&familiar, &config)?;
        self.pull_layers(source, nearby.as_deref(), &parts.layers, &config.diff_ids)?;
        self.images.blobs().write_as(image.digest, &image.bytes)?;
        let names = self.names(name, top.digest);
        let before = self.images.catalogue()?;
        let is_new = names.iter().any(|name| before.id_of(name) != Some(parts.config.digest));
        let image = self.images.add(parts.config.digest, image.descriptor(), &names)?;
        // What was made ahead of this image is its own from now on.
        for layer in &image.layers {
            let forgotten = self.images.ahead().forget(layer);
            forgotten.doing(|| format!("forget that the layer {layer} was made ahead"))?;
        }
        Ok(Pulled { image, digest: top.digest, is_new })
    }

    /// A tag stands for what it was pulled as, and a digest for what has it.
    fn names(&self, name: &ImageReference, digest: Digest) -> Vec<ImageReference> {
        let by_digest = name.repository().with_digest(digest);
        match (name.digest(), name.tag()) {
            (None, Some(tag)) => vec![name.with_tag(tag.clone()), by_digest],
            _ => vec![by_digest],
        }
    }

    /// Who asked for a platform gets it, or nothing. Who did not gets the only image that there is.
    fn check_platform(&self, name: &str, config: &ImageConfig) -> Result<(), ImageError> {
        let actual = config.platform();
        match &self.options.platform {
            Some(wanted) if !wanted.runs(&actual) => Err(ImageError::OtherPlatform {
                name: name.to_owned(),
                actual: in_words(&actual),
                wanted: wanted.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Pulls those layers that are not here, a few at a time. The first that fails ends them all.
    fn pull_layers(
        &self,
        source: &Source,
        nearby: Option<&Path>,
        layers: &[Descriptor],
        diff_ids: &[Digest],
    ) -> Result<(), ImageError> {
        let mut waiting = VecDeque::new();
        for (layer, diff_id) in layers.iter().zip(diff_ids) {
            // Empty layers stand in many images more than once.
            if waiting.iter().any(|(known, _): &(&Descriptor, _)| known.digest == layer.digest) {
                continue;
            }
            if self.layers.has(diff_id) && self.has(layer, diff_id) {
                self.progress.layer(&short(&layer.digest), Step::AlreadyExists);
                continue;
            }
            self.progress.layer(&short(&layer.digest), Step::PullingFsLayer);
            if waiting.len() >= AT_A_TIME {
                self.progress.layer(&short(&layer.digest), Step::Waiting);
            }
            waiting.push_back((layer, diff_id));
        }
        let threads = waiting.len().min(AT_A_TIME);
        let (queue, stop) = (Mutex::new(waiting), AtomicBool::new(false));
        let failure = Mutex::new(None);
        let work = || {
            while let Some((layer, diff_id)) =
                next(&queue).filter(|_| !stop.load(Ordering::Relaxed))
            {
                if let Err(error) = self.pull_layer(source, nearby, layer, diff_id, &stop) {
                    stop.store(true, Ordering::Relaxed);
                    // Those that are stopped by it fail as well, later.
                    lock(&failure).get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        lock(&failure).take().map_or(Ok(()), Err)
    }

    /// Whether a layer is here as its registry has it, or as the archive that it is made of.
    fn has(&self, layer: &Descriptor, diff_id: &Digest) -> bool {
        layer.digest == *diff_id || self.images.blobs().has(&layer.digest, layer.size)
    }

    fn pull_layer(
        &self,
        source: &Source,
        nearby: Option<&Path>,
        layer: &Descriptor,
        diff_id: &Digest,
        stop: &AtomicBool,
    ) -> Result<(), ImageError> {
        let pull = LayerPull {
            images: self.images,
            layers: self.layers,
            limits: &self.options.limits,
            progress: self.progress,
            runtime: self.runtime,
            source,
            stop,
        };
        pull.run(layer, diff_id, nearby)
    }
}

fn next<T>(queue: &Mutex<VecDeque<T>>) -> Option<T> {
    lock(queue).pop_front()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing panics in the middle of a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
