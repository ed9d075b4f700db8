//! Images out of an archive.

use std::io::Read;

use berth_oci::{Descriptor, Digest, media_type};
use serde_json::json;

use super::super::config::{self, ImageConfig};
use super::super::error::{Doing as _, ImageError};
use super::super::name::ImageReference;
use super::super::platform::Target;
use super::super::store::{Begun, CONFIG_TYPE, ImageParts, ImageStore};
use super::decoder::Compression;
use super::docker::{self, ArchivedImage};
use super::layout::{self, LaidOut};
use super::spool::{Span, Spool};
use crate::layers::{LayerStore, Limits};

/// An image that was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Its id.
    pub id: Digest,
    /// The names that it got, as people write them.
    pub names: Vec<String>,
    /// Names that stood for other images before, and which.
    pub renamed: Vec<(String, Digest)>,
}

/// An image in an archive, before anything is done with it.
struct Found {
    config: Span,
    layers: Vec<(Descriptor, Span)>,
    manifest: Descriptor,
    /// The manifest.
    bytes: Vec<u8>,
    names: Vec<ImageReference>,
}

/// Loads all images of an archive, compressed or not.
///
/// # Errors
/// See [`ImageError`]. The images before the one that is at fault are loaded.
pub fn load(
    images: &ImageStore,
    layers: &LayerStore,
    target: Option<&Target>,
    limits: &Limits,
    input: &mut dyn Read,
) -> Result<Vec<Loaded>, ImageError> {
    let target = target.cloned().unwrap_or_else(Target::host);
    let loaded = (|| {
        let _lease = images.lease()?;
        let spool = Spool::read(input, images.folder())?;
        let mut loaded = Vec::new();
        for found in find(&spool, &target)? {
            loaded.push(Load { images, layers, limits, spool: &spool }.take(found)?);
        }
        Ok(loaded)
    })();
    match &loaded {
        Ok(_) => images.sweep_if_wished(layers)?,
        // The first error says more than one of cleaning up.
        Err(_) => drop(images.sweep(layers)),
    }
    loaded
}

/// The images of an archive. Where there are both indexes, `manifest.json` says which images there are, and
/// `index.json` how registries had them.
fn find(spool: &Spool, target: &Target) -> Result<Vec<Found>, ImageError> {
    let laid_out = layout::images(spool, target)?;
    let Some(span) = spool.find(docker::NAME)? else {
        if laid_out.is_empty() {
            let reason = format!(
                "there is no image in it, neither in {} nor in {}",
                docker::NAME,
                layout::NAME
            );
            return Err(ImageError::archive(reason));
        }
        return laid_out.into_iter().map(|image| from_layout(spool, image)).collect();
    };
    let bytes = spool.bytes(&span, docker::NAME, docker::LONGEST)?;
    let archived: Vec<ArchivedImage> = serde_json::from_slice(&bytes)
        .map_err(|error| ImageError::archive(format!("{}: {error}", docker::NAME)))?;
    archived.into_iter().map(|image| from_docker(spool, image, &laid_out)).collect()
}

fn from_layout(spool: &Spool, image: LaidOut) -> Result<Found, ImageError> {
    let missing = |digest: &Digest| ImageError::archive(format!("the blob {digest} is missing"));
    let blob = |digest: &Digest| spool.blob(digest)?.ok_or_else(|| missing(digest));
    let config = blob(&image.parts.config.digest)?;
    let layers = image.parts.layers.iter().map(|layer| Ok((layer.clone(), blob(&layer.digest)?)));
    let layers = layers.collect::<Result<_, ImageError>>()?;
    let names = image.name.into_iter().collect();
    Ok(Found { config, layers, manifest: image.manifest, bytes: image.bytes, names })
}

fn from_docker(
    spool: &Spool,
    image: ArchivedImage,
    laid_out: &[LaidOut],
) -> Result<Found, ImageError> {
    let member = |name: &String| {
        let found = spool.find(name)?;
        found.ok_or_else(|| ImageError::archive(format!("{name:?} is missing")))
    };
    let config = member(&image.config)?;
    let names = image.repo_tags.unwrap_or_default();
    let names = names.iter().map(|name| Ok(name.parse::<ImageReference>()?.or_latest()));
    let names: Vec<ImageReference> = names.collect::<Result<_, ImageError>>()?;
    // What a registry had is worth more than what can be made of the parts, if it is all there.
    let known = laid_out.iter().filter(|known| known.parts.config.digest == config.digest);
    if let Some(found) = known.filter_map(|known| from_layout(spool, known.clone()).ok()).next() {
        return Ok(Found { names, ..found });
    }
    let spans = image.layers.iter().map(member).collect::<Result<Vec<_>, _>>()?;
    let layers = spans.into_iter().map(|span| Ok((layer(spool, &span)?, span)));
    let layers = layers.collect::<Result<Vec<_>, ImageError>>()?;
    let (manifest, bytes) = manifest(&config, &layers)?;
    Ok(Found { config, layers, manifest, bytes, names })
}

/// What a registry would call a layer.
fn layer(spool: &Spool, span: &Span) -> Result<Descriptor, ImageError> {
    let mut first = [0; 4];
    let read = spool.reader(span).read_exact(&mut first);
    // What is shorter is no archive of any kind, and the layer store says so.
    let compression = read.map_or(Compression::None, |()| Compression::of(&first));
    Ok(descriptor(compression.layer_type(), span.digest, span.size))
}

/// A manifest for an image that no registry has had yet: its layers are as they were saved.
fn manifest(
    config: &Span,
    layers: &[(Descriptor, Span)],
) -> Result<(Descriptor, Vec<u8>), ImageError> {
    let layers: Vec<&Descriptor> = layers.iter().map(|(layer, _)| layer).collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_IMAGE_MANIFEST,
        "config": descriptor(CONFIG_TYPE, config.digest, config.size),
        "layers": layers,
    });
    let bytes = manifest.to_string().into_bytes();
    let digest = berth_oci::Hasher::digest(berth_oci::Algorithm::Sha256, &bytes);
    Ok((descriptor(media_type::OCI_IMAGE_MANIFEST, digest, bytes.len() as u64), bytes))
}

fn descriptor(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        urls: Vec::new(),
        artifact_type: None,
        annotations: None,
        platform: None,
    }
}

/// Where an image goes.
struct Load<'a> {
    images: &'a ImageStore,
    layers: &'a LayerStore,
    limits: &'a Limits,
    spool: &'a Spool,
}

impl Load<'_> {
    fn take(&self, found: Found) -> Result<Loaded, ImageError> {
        let Found { config: span, layers, manifest, bytes, names } = found;
        let name = names.first().map_or_else(|| "the image".to_owned(), ImageReference::familiar);
        let config_bytes = self.spool.bytes(&span, "the configuration", config::LONGEST)?;
        let config = ImageConfig::parse(&config_bytes)?;
        ImageParts::parse(Some(&manifest.media_type), &bytes, &name)?.check(&config, &name)?;
        for ((layer, span), diff_id) in layers.iter().zip(&config.diff_ids) {
            self.layer(layer, span, diff_id)?;
        }
        self.images.blobs().write_as(span.digest, &config_bytes)?;
        self.images.blobs().write_as(manifest.digest, &bytes)?;
        let before = self.images.catalogue()?;
        let other = |name: &ImageReference| {
            let id = before.id_of(name).filter(|id| *id != span.digest)?;
            Some((name.familiar(), id))
        };
        let renamed = names.iter().filter_map(other).collect();
        self.images.add(span.digest, manifest, &names)?;
        let names = names.iter().map(ImageReference::familiar).collect();
        Ok(Loaded { id: span.digest, names, renamed })
    }

    /// Unpacks a layer; keeps it as it is where it is compressed, since nobody could make it again.
    fn layer(&self, layer: &Descriptor, span: &Span, diff_id: &Digest) -> Result<(), ImageError> {
        if !self.layers.has(diff_id) {
            self.layers.ingest(diff_id, self.limits, &mut self.spool.reader(span))?;
        }
        if layer.digest == *diff_id {
            return Ok(());
        }
        if let Begun::Partial(mut partial) = self.images.blobs().begin(layer.digest)? {
            let doing = || format!("write the layer {}", layer.digest);
            partial.restart().doing(doing)?;
            std::io::copy(&mut self.spool.reader(span), partial.file()).doing(doing)?;
            partial.finish()?;
        }
        Ok(())
    }
}
