//! Layers of pushed images that are made ready for the engine on this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use berth_config::Config;
use berth_oci::{Digest, ManifestKind, RepositoryName};
use berth_registry::PushObserver;
use berth_runner::Roots;
use berth_runner::images::{AheadOptions, AheadWorker, LayersAhead, Made, StoredImage, Told};
use tracing::{debug, info, warn};

/// Hands on what clients push to the thread that makes layers.
#[derive(Debug)]
struct Ahead(AheadWorker<Name>);

/// An image, as the log names it.
#[derive(Debug)]
struct Name {
    repository: RepositoryName,
    digest: Digest,
}

/// Starts to make layers ready, where the configuration names an engine.
pub(super) fn start(config: &Config) -> Result<Option<Arc<dyn PushObserver>>> {
    let Some((layers, folder)) = open(config)? else { return Ok(None) };
    let worker = AheadWorker::start(layers, tell).context("there can be no more threads")?;
    info!(folder = %folder.display(), "layers of pushed images are made ready for the engine");
    Ok(Some(Arc::new(Ahead(worker))))
}

/// Proves that layers can be made ready; tells where, if anywhere.
pub(super) fn check(config: &Config) -> Result<Option<PathBuf>> {
    Ok(open(config)?.map(|(_, folder)| folder))
}

fn open(config: &Config) -> Result<Option<(LayersAhead, PathBuf)>> {
    let engine = &config.engine;
    let Some(data) = &engine.dataroot else { return Ok(None) };
    let storage = config.root_directory().unwrap_or(Path::new("."));
    let options = AheadOptions { keep: engine.keep.get(), most: engine.maxsize.bytes() };
    let layers = LayersAhead::open(&Roots::new(data, &engine.execroot), storage, options);
    let layers = layers.context(
        "the engine that `engine.dataroot` and `engine.execroot` name cannot be given layers",
    )?;
    Ok(Some((layers, data.clone())))
}

impl PushObserver for Ahead {
    fn pushed(&self, repository: &RepositoryName, digest: &Digest, manifest: &ManifestKind) {
        let Some(image) = StoredImage::of(manifest) else { return };
        let name = Name { repository: repository.clone(), digest: *digest };
        if !self.0.offer(name, image) {
            debug!(%repository, %digest, "too many images wait: the layers are left to whoever pulls them");
        }
    }
}

fn tell(told: Told<Name>) {
    match told {
        Told::Made(Name { repository, digest }, Made::Ready(layers)) => {
            info!(%repository, %digest, layers, "the layers of an image are ready");
        }
        Told::Made(Name { repository, digest }, Made::Elsewhere) => {
            debug!(%repository, %digest, "an image does not run here: its layers are not made ready");
        }
        Told::Made(Name { repository, digest }, Made::Pulled) => {
            debug!(%repository, %digest, "an image is pulled: its layers are left to the pull");
        }
        Told::NotMade(Name { repository, digest }, error) => {
            warn!(%repository, %digest, %error, "the layers of an image cannot be made ready");
        }
        Told::NotGivenBack(error) => {
            warn!(%error, "layers that nobody has pulled could not be removed");
        }
    }
}
