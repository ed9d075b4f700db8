//! `index.json` and `oci-layout`, as the OCI image specification has them.

use std::collections::BTreeMap;

use berth_oci::{Descriptor, Manifest, ManifestKind, Tag, media_type};
use serde::{Deserialize, Serialize};

use super::super::error::ImageError;
use super::super::name::ImageReference;
use super::super::platform::Target;
use super::super::store::{ImageParts, LONGEST_MANIFEST};
use super::spool::Spool;

/// The name of the index.
pub(super) const NAME: &str = "index.json";

/// The file that says that it is a layout, and what it holds.
pub(super) const MARK: (&str, &[u8]) = ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);

/// The whole name of an image, as containerd and docker write it.
pub(super) const FULL_NAME: &str = "io.containerd.image.name";

/// Its tag; with podman the whole name.
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// How deep indexes lie in each other.
const DEPTH: usize = 4;

/// An image that a layout has.
#[derive(Clone, Debug)]
pub(super) struct LaidOut {
    pub(super) manifest: Descriptor,
    pub(super) bytes: Vec<u8>,
    pub(super) parts: ImageParts,
    pub(super) name: Option<ImageReference>,
}

/// The index, as it is written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
}

impl Index {
    pub(super) fn new(manifests: Vec<Descriptor>) -> Self {
        Self { schema_version: 2, media_type: media_type::OCI_IMAGE_INDEX, manifests }
    }
}

#[derive(Deserialize)]
struct ReadIndex {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

/// The images of a layout, whole or not: those of an index are for one platform.
pub(super) fn images(spool: &Spool, target: &Target) -> Result<Vec<LaidOut>, ImageError> {
    let Some(span) = spool.find(NAME)? else { return Ok(Vec::new()) };
    let bytes = spool.bytes(&span, NAME, LONGEST_MANIFEST)?;
    let index: ReadIndex = serde_json::from_slice(&bytes)
        .map_err(|error| ImageError::archive(format!("{NAME}: {error}")))?;
    let mut found = Vec::new();
    for descriptor in index.manifests {
        let name = name(&descriptor.annotations);
        if let Some((manifest, bytes, parts)) = image(spool, target, descriptor, DEPTH)? {
            found.push(LaidOut { manifest, bytes, parts, name });
        }
    }
    Ok(found)
}

/// The image that a descriptor leads to; none where it is not in the archive, or is no image.
fn image(
    spool: &Spool,
    target: &Target,
    descriptor: Descriptor,
    depth: usize,
) -> Result<Option<(Descriptor, Vec<u8>, ImageParts)>, ImageError> {
    let Some(span) = spool.blob(&descriptor.digest)? else { return Ok(None) };
    let what = format!("the manifest {}", descriptor.digest);
    let bytes = spool.bytes(&span, &what, LONGEST_MANIFEST)?;
    let manifest = Manifest::parse(Some(&descriptor.media_type), &bytes)
        .map_err(|error| ImageError::not_an_image(&what, error))?;
    match &manifest.kind {
        ManifestKind::Index { manifests } => {
            let chosen = target.choose(manifests).filter(|_| depth > 0).cloned();
            chosen.map_or(Ok(None), |chosen| image(spool, target, chosen, depth - 1))
        }
        ManifestKind::Image { .. } => {
            let parts = ImageParts::of(manifest, &what)?;
            let manifest =
                Descriptor { size: span.size, annotations: None, platform: None, ..descriptor };
            Ok(Some((manifest, bytes, parts)))
        }
    }
}

/// The name that annotations give an image, if it is one: some have a tag alone.
fn name(annotations: &Option<BTreeMap<String, String>>) -> Option<ImageReference> {
    let annotations = annotations.as_ref()?;
    let parse = |key: &str| annotations.get(key)?.parse::<ImageReference>().ok();
    let named = parse(FULL_NAME)
        .or_else(|| parse(REF_NAME).filter(|_| annotations[REF_NAME].parse::<Tag>().is_err()))?;
    Some(named.or_latest()).filter(|name| name.tag().is_some())
}
