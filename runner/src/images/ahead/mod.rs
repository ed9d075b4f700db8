//! Layers that are made ready to be mounted before anybody pulls them, by a registry on this machine that has
//! just been given them.
//!
//! A pull is not told: it finds the layers there, as if an earlier one had brought them, and makes what is missing.
//! What is made ahead is noted first, so that it is kept for a while though no image has it
//! ([`ImageStore::sweep`]); a pull takes the note away, and the time takes the layer where none comes. Whoever waits
//! for a layer that is being made here gets it at once, and makes it itself: what is done at leisure holds up nobody.

mod leisure;
mod worker;

use std::fs::{self, DirBuilder, File};
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_oci::{Digest, Hasher, ManifestKind};
use jiff::Timestamp;
use rustix::fs::statvfs;
use rustix::process::geteuid;

use self::leisure::Leisure;
pub use self::worker::{AheadWorker, Told};
use super::config::{self, ImageConfig};
use super::error::{Doing as _, ImageError};
use super::platform::Target;
use super::pull::nearby;
use super::settings::Settings;
use super::store::{CONFIG_TYPES, ImageStore};
use crate::Roots;
use crate::layers::{LayerStore, Limits};

/// What is made ahead, and how long it is kept.
#[derive(Clone, Copy, Debug)]
pub struct AheadOptions {
    /// How long a layer is kept that nobody pulls.
    pub keep: Duration,
    /// How many bytes all those layers may have.
    pub most: u64,
}

/// An image that a registry has: what its layers are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredImage {
    config: Digest,
    layers: Vec<Digest>,
}

/// How an image was made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// Its layers are there: so many were not before.
    Ready(usize),
    /// It does not run on this machine.
    Elsewhere,
    /// Somebody pulls it, and makes the rest.
    Pulled,
}

/// The layers of an engine, as the registry that makes some of them sees them.
#[derive(Debug)]
pub struct LayersAhead {
    images: ImageStore,
    layers: LayerStore,
    /// The folder of the registry's blobs.
    blobs: PathBuf,
    options: AheadOptions,
}

impl StoredImage {
    /// What the manifest of an image names; nothing for any other manifest.
    #[must_use]
    pub fn of(manifest: &ManifestKind) -> Option<Self> {
        let ManifestKind::Image { blobs, foreign } = manifest else { return None };
        let (config, layers) = blobs.split_first()?;
        let is_image = CONFIG_TYPES.contains(&config.media_type.as_str())
            && foreign.is_empty()
            && layers.len() <= config::MOST_LAYERS;
        let layers = || layers.iter().map(|layer| layer.digest).collect();
        is_image.then(|| Self { config: config.digest, layers: layers() })
    }
}

impl LayersAhead {
    /// The layers under `roots`, for a registry that has its files in `storage`.
    ///
    /// # Errors
    /// When the engine's folders cannot be used, or belong to somebody else.
    pub fn open(roots: &Roots, storage: &Path, options: AheadOptions) -> Result<Self, ImageError> {
        for folder in [roots.data(), roots.run()] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.doing(|| format!("make {}", folder.display()))?;
            check_owner(folder)?;
        }
        let images = ImageStore::open_with(roots, Settings::default())?;
        let layers = LayerStore::open(roots)?;
        // A registry mounts nothing to find out what the kernel can.
        let rung = layers.rung_untried()?;
        let blobs = storage.join(nearby::BLOBS);
        Ok(Self { images, layers: layers.with_rung(rung), blobs, options })
    }

    /// Makes the layers of an image that are not there.
    fn make(&self, image: &StoredImage) -> Result<Made, ImageError> {
        let config = ImageConfig::parse(&self.read_config(&image.config)?)?;
        if !Target::host().runs(&config.platform()) {
            return Ok(Made::Elsewhere);
        }
        let (layers, diff_ids) = (image.layers.len(), config.diff_ids.len());
        if layers != diff_ids {
            let reason =
                format!("its manifest has {layers} layers, and its configuration {diff_ids}");
            return Err(ImageError::not_an_image("a pushed image", reason));
        }
        let mut made = 0;
        for (layer, diff_id) in image.layers.iter().zip(&config.diff_ids) {
            let is_there = self.layers.has(diff_id);
            // An image has it, which is enough to keep it.
            if is_there && !self.images.ahead().has(diff_id) {
                continue;
            }
            if !self.make_layer(layer, diff_id)? {
                return Ok(Made::Pulled);
            }
            made += usize::from(!is_there);
        }
        Ok(Made::Ready(made))
    }

    /// Makes a layer and has it kept; `false` where it is left to somebody who waits for it.
    fn make_layer(&self, layer: &Digest, diff_id: &Digest) -> Result<bool, ImageError> {
        let lease = self.images.lease()?;
        let until = Timestamp::now().checked_add(self.options.keep).unwrap_or(Timestamp::MAX);
        let noting = || "note how long a layer is kept";
        self.images.ahead().keep(diff_id, until).doing(noting)?;
        let made = self.ingest(layer, diff_id);
        if !matches!(made, Ok(true)) {
            self.images.ahead().forget(diff_id).doing(noting)?;
        }
        drop(lease);
        made
    }

    fn ingest(&self, layer: &Digest, diff_id: &Digest) -> Result<bool, ImageError> {
        let path = nearby::data(&self.blobs, layer);
        let file = File::open(&path).doing(|| format!("open {}", path.display()))?;
        let mut leisure = Leisure::new(file, || self.layers.is_wanted(diff_id));
        match self.layers.ingest(diff_id, &self.limits()?, &mut leisure) {
            Err(_) if leisure.is_over() => Ok(false),
            made => Ok(made.map(|()| true)?),
        }
    }

    /// What a layer may have here: less than in a pull, which somebody has asked for. The memory is the registry's, and
    /// so is the disk, perhaps.
    fn limits(&self) -> Result<Limits, ImageError> {
        let disk = statvfs(self.images.folder()).doing(|| "look how much room there is")?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let limits = Limits::default();
        Ok(Limits {
            bytes: limits.bytes.min(self.options.most).min(free / 2),
            entries: 250_000,
            metadata: 64 << 20,
            ..limits
        })
    }

    fn read_config(&self, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        let path = nearby::data(&self.blobs, digest);
        let doing = || format!("read {}", path.display());
        let mut bytes = Vec::new();
        File::open(&path)
            .doing(doing)?
            .take(config::LONGEST + 1)
            .read_to_end(&mut bytes)
            .doing(doing)?;
        let actual = Hasher::digest(digest.algorithm(), &bytes);
        match actual == *digest {
            true => Ok(bytes),
            false => Err(ImageError::digest(format!("the blob {digest}"), *digest, actual)),
        }
    }

    /// Removes what was kept long enough for a pull that did not come, what is too much, and what others could not
    /// remove meanwhile.
    fn give_back(&self) -> Result<(), ImageError> {
        self.images.sweep_ahead(&self.layers, self.options.most)?;
        self.images.sweep_if_wished(&self.layers)
    }
}

/// What is in the engine's folders is the root of containers: whoever can write there must be trusted with it.
fn check_owner(folder: &Path) -> Result<(), ImageError> {
    let metadata = fs::metadata(folder).doing(|| format!("look at {}", folder.display()))?;
    let (owner, we) = (metadata.uid(), geteuid().as_raw());
    let refuse = |reason| Err(ImageError::File { path: folder.display().to_string(), reason });
    if owner != we {
        return refuse(format!(
            "it belongs to user {owner}, and this is user {we}: the registry must run as the engine's user"
        ));
    }
    if metadata.mode() & 0o022 != 0 {
        return refuse("others can write there: take that right away (chmod go-w)".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
