//! The images of this machine.
//!
//! ```text
//! <data>/images/images.json               which images there are, and their names
//! <data>/images/lock                      held by whoever changes that file
//! <data>/images/content                   held, shared, by whoever adds content; alone by whoever removes it
//! <data>/images/blobs/sha256/ab/<hex>     manifests, configurations, and layers as they came
//! <data>/images/partial/sha256-<hex>      a blob on its way, held by whoever writes it
//! <data>/images/ahead/sha256-<hex>        until when a layer is kept that no image has yet
//! ```
//!
//! An image is a configuration, whose digest is its id, and a manifest, which is kept as it was pulled: so
//! digests stay what they were, and nothing is compressed twice. Layers that came uncompressed are not kept
//! here, since the layer store can give them again. Nothing counts references: who removes reads the few
//! manifests that there are.

mod ahead;
mod blobs;
mod catalogue;

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use berth_oci::{Descriptor, Digest, Manifest, ManifestKind, Tag};
use jiff::Timestamp;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use self::ahead::Ahead;
use self::blobs::private_folder;
pub(super) use self::blobs::{Begun, Blobs, Partial};
pub(super) use self::catalogue::{Catalogue, Entry};
use self::catalogue::{CatalogueFile, locked};
use super::config::{self, ImageConfig};
use super::error::{Doing as _, ImageError};
use super::name::ImageReference;
use super::settings::Settings;
use crate::Roots;
use crate::layers::{LayerError, LayerStore};

/// The longest manifest that is read, in bytes.
pub(super) const LONGEST_MANIFEST: u64 = 4 << 20;

/// The images of this machine: see the documentation of the module.
#[derive(Clone, Debug)]
pub struct ImageStore {
    root: PathBuf,
    catalogue: CatalogueFile,
    blobs: Blobs,
    ahead: Ahead,
    settings: Settings,
}

/// An image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The digest of its configuration.
    pub id: Digest,
    /// Its names with a tag, as people write them.
    pub names: Vec<String>,
    /// Its names by the digest under which a registry has it, as people write them.
    pub digests: Vec<String>,
    /// What it runs.
    pub config: ImageConfig,
    /// The digests of its layers as tar archives, lowest first.
    pub layers: Vec<Digest>,
    /// Its manifest.
    pub manifest: Descriptor,
    /// When it got its last tag.
    pub tagged: Option<Timestamp>,
}

/// As long as it is held no image goes, and none gets another name.
#[derive(Debug)]
pub struct ImageHold {
    _file: File,
}

/// As long as it is held no content goes that no image has yet, or no longer.
#[derive(Debug)]
pub struct ContentLease {
    _file: File,
}

impl ImageStore {
    /// The images under these roots, which are made where they are missing.
    ///
    /// # Errors
    /// When the folder cannot be made, or the engine's settings cannot be read.
    pub fn open(roots: &Roots) -> Result<Self, ImageError> {
        Self::open_with(roots, Settings::read()?)
    }

    /// The same with these settings, whatever the engine's file says.
    pub(super) fn open_with(roots: &Roots, settings: Settings) -> Result<Self, ImageError> {
        let root = roots.data().join("images");
        let open = || {
            private_folder(&root)?;
            Blobs::open(&root)
        };
        let blobs = open().doing(|| format!("open {}", root.display()))?;
        let (catalogue, ahead) = (CatalogueFile::new(&root), Ahead::new(&root));
        Ok(Self { root, catalogue, blobs, ahead, settings })
    }

    /// How registries are reached.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Reads a name; one without a registry means the one that the settings name.
    ///
    /// # Errors
    /// When it is none.
    pub fn name(&self, text: &str) -> Result<ImageReference, ImageError> {
        ImageReference::parse(text, self.settings.short_names())
    }

    /// The image that a name, an id, or the beginning of an id stands for.
    ///
    /// # Errors
    /// [`ImageError::NotFound`] when there is none.
    pub fn find(&self, name: &str) -> Result<Image, ImageError> {
        let catalogue = self.catalogue()?;
        let id = self.look_up(&catalogue, name)?;
        self.image(&catalogue, &id)
    }

    /// All images, the newest first.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn list(&self) -> Result<Vec<Image>, ImageError> {
        let catalogue = self.catalogue()?;
        let images = catalogue.images.keys().map(|id| self.image(&catalogue, id));
        let mut images = images.collect::<Result<Vec<_>, _>>()?;
        images.sort_by_key(|image| std::cmp::Reverse(image.config.created_at()));
        Ok(images)
    }

    /// The names with a tag of a repository.
    ///
    /// # Errors
    /// When the names cannot be read.
    pub fn tags(&self, name: &ImageReference) -> Result<Vec<ImageReference>, ImageError> {
        let tags = self.catalogue()?.tags_of(name);
        Ok(tags.into_iter().map(|(tag, _)| name.with_tag(tag)).collect())
    }

    /// Gives an image one more name.
    ///
    /// # Errors
    /// When there is no such image, or the name is one by digest.
    pub fn tag(&self, source: &str, target: &ImageReference) -> Result<(), ImageError> {
        if target.digest().is_some() {
            let refusal = "refusing to create a tag with a digest reference";
            return Err(ImageError::Refused(refusal.to_owned()));
        }
        let target = target.or_latest().to_string();
        self.catalogue.change(|catalogue| {
            let id = self.look_up(catalogue, source)?;
            catalogue.set_name(target, id);
            Ok(())
        })
    }

    /// Keeps content from being removed.
    ///
    /// # Errors
    /// When the lock cannot be had.
    pub fn lease(&self) -> Result<ContentLease, ImageError> {
        let file = locked(&self.root.join("content"), FlockOperation::LockShared);
        Ok(ContentLease { _file: file.doing(|| "hold the content of images")? })
    }

    /// Keeps images from being removed until somebody who has found one is written down as its user. No
    /// image may be added meanwhile by the same command.
    ///
    /// # Errors
    /// When the image was removed since it was found, or the lock cannot be had.
    pub fn hold(&self, id: &Digest) -> Result<ImageHold, ImageError> {
        let file = self.catalogue.held().doing(|| "hold the images")?;
        match self.catalogue()?.images.contains_key(id) {
            true => Ok(ImageHold { _file: file }),
            false => Err(ImageError::NotFound(id.to_string())),
        }
    }

    /// The bytes of a manifest or configuration.
    ///
    /// # Errors
    /// When it is not there, or damaged.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        self.blobs.read(digest, LONGEST_MANIFEST.max(config::LONGEST))
    }

    /// The bytes of anything that a manifest names, be it here or in the layer store.
    pub(super) fn content(
        &self,
        layers: &LayerStore,
        digest: &Digest,
    ) -> Result<Box<dyn Read + Send>, ImageError> {
        match self.blobs.file(digest) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && layers.has(digest) => {
                Ok(Box::new(layers.tar(digest)?))
            }
            Err(error) => Err(error).doing(|| format!("open the blob {digest}")),
        }
    }

    /// Writes down a new image, all of whose content is there, and gives it these names.
    pub(super) fn add(
        &self,
        id: Digest,
        manifest: Descriptor,
        names: &[ImageReference],
    ) -> Result<Image, ImageError> {
        self.catalogue.change(|catalogue| {
            let entry = catalogue.images.entry(id);
            // What was pulled is worth more than what was made of an archive: others know its digest.
            let entry = entry.or_insert(Entry { manifest: manifest.clone(), tagged: None });
            if names.iter().any(|name| name.digest().is_some()) {
                entry.manifest = manifest;
            }
            for name in names {
                catalogue.set_name(name.to_string(), id);
            }
            self.image(catalogue, &id)
        })
    }

    pub(super) fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    pub(super) fn ahead(&self) -> &Ahead {
        &self.ahead
    }

    /// A folder on the file system of all this.
    pub(super) fn folder(&self) -> &Path {
        &self.root
    }

    pub(super) fn catalogue(&self) -> Result<Catalogue, ImageError> {
        self.catalogue.read()
    }

    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Catalogue) -> Result<T, ImageError>,
    ) -> Result<T, ImageError> {
        self.catalogue.change(change)
    }

    /// The id that a name, an id, or the beginning of an id stands for.
    pub(super) fn look_up(&self, catalogue: &Catalogue, text: &str) -> Result<Digest, ImageError> {
        if let Ok(id) = text.parse::<Digest>() {
            let known = catalogue.images.contains_key(&id);
            return if known { Ok(id) } else { Err(ImageError::NotFound(text.to_owned())) };
        }
        let name = self.name(text);
        if let Ok(name) = &name
            && let Some(id) = catalogue.id_of(name)
        {
            return Ok(id);
        }
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        let is_prefix = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut found = catalogue.images.keys().filter(|id| id.hex().starts_with(hex));
        if let (true, Some(id), None) = (is_prefix, found.next(), found.next()) {
            return Ok(*id);
        }
        match name {
            Ok(name) => Err(ImageError::NotFound(name.or_latest().familiar())),
            Err(_) if super::name::is_whole_id(text) => {
                Err(ImageError::NotFound(format!("sha256:{text}")))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn image(&self, catalogue: &Catalogue, id: &Digest) -> Result<Image, ImageError> {
        let entry = catalogue.images.get(id);
        let entry = entry.ok_or_else(|| ImageError::NotFound(id.to_string()))?;
        let config = ImageConfig::parse(&self.read(id)?)?;
        let (mut names, mut digests) = (Vec::new(), Vec::new());
        for name in catalogue.names_of(id) {
            match name.digest() {
                Some(_) => digests.push(name.familiar()),
                None => names.push(name.familiar()),
            }
        }
        let (layers, manifest) = (config.diff_ids.clone(), entry.manifest.clone());
        Ok(Image { id: *id, names, digests, config, layers, manifest, tagged: entry.tagged })
    }

    /// The configuration and the layers that the manifest of an image names.
    pub(super) fn parts(&self, manifest: &Descriptor) -> Result<ImageParts, ImageError> {
        let bytes = self.read(&manifest.digest)?;
        ImageParts::parse(Some(&manifest.media_type), &bytes, &manifest.digest.to_string())
    }

    /// Removes all content that no image has, but for layers that are kept for one. Where somebody adds some at
    /// this moment, it is left to the next who does so.
    ///
    /// # Errors
    /// When something cannot be read or removed.
    pub fn sweep(&self, layers: &LayerStore) -> Result<u64, ImageError> {
        let Some(_lock) = self.alone()? else {
            return self.wish_for_sweep().doing(|| "leave word of content to be removed");
        };
        let (catalogue, now) = (self.catalogue()?, Timestamp::now());
        let mut kept = HashSet::new();
        for (id, entry) in &catalogue.images {
            kept.extend([*id, entry.manifest.digest]);
            kept.extend(self.parts(&entry.manifest)?.layers.iter().map(|layer| layer.digest));
        }
        let mut kept_layers = self.layers_of(&catalogue)?;
        kept_layers.extend(self.ahead.kept(now).doing(|| AHEAD)?);
        let mut freed = self.blobs.sweep(&kept).doing(|| "remove blobs")?;
        for layer in layers.list()? {
            if !kept_layers.contains(&layer) {
                freed += take_away(layers, &layer)?;
            }
        }
        self.ahead.forget_before(now).doing(|| AHEAD)?;
        match fs::remove_file(self.wish()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).doing(|| "remove what says that content is to be removed")
            }
            _ => Ok(freed),
        }
    }

    /// Removes layers that no image has and that were kept for one: those whose time is over, and of the others
    /// those first that are kept least long, until the rest has `most` bytes. Not while somebody adds content.
    pub(super) fn sweep_ahead(&self, layers: &LayerStore, most: u64) -> Result<(), ImageError> {
        let Some(_lock) = self.alone()? else { return Ok(()) };
        let (ahead, now) = (self.ahead.all().doing(|| AHEAD)?, Timestamp::now());
        let size = |layer: &Digest| layers.size(layer).unwrap_or_default();
        let mut bytes: u64 = ahead.iter().map(|(_, layer)| size(layer)).sum();
        let of_images = self.layers_of(&self.catalogue()?)?;
        for (until, layer) in ahead {
            if until > now && bytes <= most {
                break;
            }
            bytes -= size(&layer);
            if !of_images.contains(&layer) {
                take_away(layers, &layer)?;
            }
            self.ahead.forget(&layer).doing(|| AHEAD)?;
        }
        Ok(())
    }

    /// Keeps no layers any longer for an image to come: they go with the next sweep.
    pub(super) fn forget_ahead(&self) -> Result<(), ImageError> {
        self.ahead.forget_before(Timestamp::MAX).doing(|| AHEAD)
    }

    /// Keeps everybody from adding content, unless somebody does.
    fn alone(&self) -> Result<Option<File>, ImageError> {
        let operation = FlockOperation::NonBlockingLockExclusive;
        match locked(&self.root.join("content"), operation) {
            Err(error) if error.raw_os_error() == Some(Errno::WOULDBLOCK.raw_os_error()) => {
                Ok(None)
            }
            other => other.doing(|| "hold the content of images").map(Some),
        }
    }

    fn layers_of(&self, catalogue: &Catalogue) -> Result<BTreeSet<Digest>, ImageError> {
        let mut found = BTreeSet::new();
        for id in catalogue.images.keys() {
            found.extend(ImageConfig::parse(&self.read(id)?)?.diff_ids);
        }
        Ok(found)
    }

    /// Removes what others have left to whoever was adding content.
    pub(super) fn sweep_if_wished(&self, layers: &LayerStore) -> Result<(), ImageError> {
        if self.wish().exists() { self.sweep(layers).map(drop) } else { Ok(()) }
    }

    fn wish(&self) -> PathBuf {
        self.root.join("sweep")
    }

    fn wish_for_sweep(&self) -> io::Result<u64> {
        File::create(self.wish()).map(|_| 0)
    }
}

/// What reads and writes the notes of layers that are kept for an image to come.
const AHEAD: &str = "look which layers are kept for an image to come";

/// Removes a layer, and says how many bytes that gives back.
fn take_away(layers: &LayerStore, layer: &Digest) -> Result<u64, ImageError> {
    match layers.remove(layer) {
        // A container has it, and the next sweep finds it again.
        Err(LayerError::Busy { .. } | LayerError::NotFound(_)) => Ok(0),
        removed => Ok(removed?),
    }
}

impl Catalogue {
    /// The image that a name stands for: one without tag and digest is `latest`.
    pub(super) fn id_of(&self, name: &ImageReference) -> Option<Digest> {
        // A digest says more than the tag beside it.
        let key = match name.digest() {
            Some(digest) => name.with_digest(digest),
            None => name.or_latest(),
        };
        self.names.get(&key.to_string()).copied()
    }

    /// The names of an image.
    pub(super) fn names_of(&self, id: &Digest) -> Vec<ImageReference> {
        let names = self.names.iter().filter(|(_, named)| *named == id);
        names.filter_map(|(name, _)| name.parse().ok()).collect()
    }

    /// The tags of a repository, and the images that they stand for.
    pub(super) fn tags_of(&self, repository: &ImageReference) -> Vec<(Tag, Digest)> {
        let prefix = format!("{}:", repository.repository());
        let names = self.names.iter().filter_map(|(name, id)| {
            let tag = name.strip_prefix(&prefix)?.parse().ok()?;
            Some((tag, *id))
        });
        names.collect()
    }

    pub(super) fn set_name(&mut self, name: String, id: Digest) {
        let before = self.names.insert(name, id);
        // What changes nothing is not written again.
        if before != Some(id)
            && let Some(entry) = self.images.get_mut(&id)
        {
            entry.tagged = Some(Timestamp::now());
        }
    }
}

/// What the manifest of an image names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ImageParts {
    pub(super) config: Descriptor,
    /// As registries have them, lowest first.
    pub(super) layers: Vec<Descriptor>,
}

impl ImageParts {
    /// Reads the manifest of an image that can be run.
    pub(super) fn parse(
        media_type: Option<&str>,
        bytes: &[u8],
        name: &str,
    ) -> Result<Self, ImageError> {
        let manifest = Manifest::parse(media_type, bytes)
            .map_err(|error| ImageError::not_an_image(name, error))?;
        Self::of(manifest, name)
    }

    pub(super) fn of(manifest: Manifest, name: &str) -> Result<Self, ImageError> {
        let refuse = |reason: &str| Err(ImageError::not_an_image(name, reason));
        let ManifestKind::Image { blobs, foreign } = manifest.kind else {
            return refuse("it is an index of images");
        };
        if !foreign.is_empty() {
            return refuse("it has layers that no registry holds");
        }
        let mut blobs = blobs.into_iter();
        let Some(config) = blobs.next() else { return refuse("it has no configuration") };
        if !CONFIG_TYPES.contains(&config.media_type.as_str()) {
            return refuse(&format!("its configuration is {}", config.media_type));
        }
        if config.size > config::LONGEST {
            let (what, most) = (format!("the configuration of {name}"), config::LONGEST);
            return Err(ImageError::TooLarge { what, size: config.size, most });
        }
        let layers: Vec<_> = blobs.collect();
        if layers.len() > config::MOST_LAYERS {
            let (size, most) = (layers.len() as u64, config::MOST_LAYERS as u64);
            return Err(ImageError::TooLarge { what: "the list of layers".into(), size, most });
        }
        Ok(Self { config, layers })
    }

    /// Compares it with the configuration that it names.
    pub(super) fn check(&self, config: &ImageConfig, name: &str) -> Result<(), ImageError> {
        let (blobs, layers) = (self.layers.len(), config.diff_ids.len());
        if blobs != layers {
            let reason = format!("its manifest has {blobs} layers, and its configuration {layers}");
            return Err(ImageError::not_an_image(name, reason));
        }
        Ok(())
    }
}

/// The configuration of an image that can be run, as OCI has it.
pub(super) const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";

pub(super) const CONFIG_TYPES: [&str; 2] =
    [CONFIG_TYPE, "application/vnd.docker.container.image.v1+json"];
