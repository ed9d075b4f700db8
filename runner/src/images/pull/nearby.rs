//! A registry on this machine: its blobs are taken over where they lie.
//!
//! A link to the file is a lease: the registry's collector takes its own name of the bytes away, and ours
//! stays. Nothing is read, so the registry is trusted to have verified what it stored, as it does before it
//! gives a file its name. That trust goes to whoever can write there, and so to root and to us alone; what
//! others can write is pulled like anything else. Whether the layer is the one that the image means is
//! verified in any case, when it is unpacked.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use berth_oci::Descriptor;
use rustix::process::geteuid;

use super::super::error::ImageError;
use super::super::registry::Source;
use super::super::settings::Settings;
use super::super::store::Blobs;

/// The blobs in the folder of a registry (`registry:2` has them there as well).
const BLOBS: &str = "docker/registry/v2/blobs";

/// Where a registry has its blobs, if they are on this machine and can be trusted.
pub(super) fn storage_of(source: &Source, settings: &Settings) -> Option<PathBuf> {
    let storage = settings.registry(&source.client.url().authority()).storage?;
    let blobs = storage.join(BLOBS);
    (is_trusted(&storage) && is_trusted(&blobs)).then_some(blobs)
}

/// Takes over a blob, if it is there, whole, and can be trusted.
pub(super) fn take_over(own: &Blobs, storage: &Path, layer: &Descriptor) -> Result<(), ImageError> {
    let hex = layer.digest.hex();
    let folder = storage.join(layer.digest.algorithm().as_str()).join(&hex[..2]).join(&hex);
    let data = folder.join("data");
    let is_whole = fs::symlink_metadata(&data)
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() == layer.size);
    let mut above = data.ancestors().take_while(|path| path.starts_with(storage));
    match is_whole && above.all(is_trusted) {
        true => own.take_over(layer.digest, &data),
        false => Ok(()),
    }
}

/// Whether nobody but root and us can have changed it.
fn is_trusted(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| {
        let owner = metadata.uid();
        (owner == 0 || owner == geteuid().as_raw()) && metadata.mode() & 0o022 == 0
    })
}
