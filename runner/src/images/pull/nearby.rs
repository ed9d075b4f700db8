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

use berth_oci::{Descriptor, Digest, Hasher};
use rustix::process::geteuid;

use super::super::error::ImageError;
use super::super::registry::Source;
use super::super::settings::Settings;
use super::super::store::Blobs;

/// The blobs in the folder of a registry (`registry:2` has them there as well).
pub(in super::super) const BLOBS: &str = "docker/registry/v2/blobs";

/// Where a registry has its blobs, if they are on this machine and can be trusted.
pub(super) fn storage_of(source: &Source, settings: &Settings) -> Option<PathBuf> {
    let storage = settings.registry(&source.client.url().authority()).storage?;
    let blobs = storage.join(BLOBS);
    (is_trusted(&storage) && is_trusted(&blobs)).then_some(blobs)
}

/// Takes over a blob, if it is there, whole, and can be trusted.
pub(super) fn take_over(own: &Blobs, storage: &Path, blob: &Descriptor) -> Result<(), ImageError> {
    match found(storage, blob) {
        Some(data) => own.take_over(blob.digest, &data),
        None => Ok(()),
    }
}

/// The same with a small blob, which is read, and left where it is if it is not what its digest says.
pub(super) fn take_over_verified(
    own: &Blobs,
    storage: &Path,
    blob: &Descriptor,
) -> Result<(), ImageError> {
    let is_good = |data: &PathBuf| {
        let bytes = fs::read(data).unwrap_or_default();
        Hasher::digest(blob.digest.algorithm(), &bytes) == blob.digest
    };
    match found(storage, blob).filter(is_good) {
        Some(data) => own.take_over(blob.digest, &data),
        None => Ok(()),
    }
}

/// The file of a blob that is there, whole, and can be trusted.
fn found(storage: &Path, blob: &Descriptor) -> Option<PathBuf> {
    let data = data(storage, &blob.digest);
    let is_whole = fs::symlink_metadata(&data)
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() == blob.size);
    let mut above = data.ancestors().take_while(|path| path.starts_with(storage));
    (is_whole && above.all(is_trusted)).then_some(data)
}

/// Where a blob is in the folder of the blobs, or would be.
pub(in super::super) fn data(blobs: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    blobs.join(digest.algorithm().as_str()).join(&hex[..2]).join(&hex).join("data")
}

/// Whether nobody but root and us can have changed it.
fn is_trusted(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| {
        let owner = metadata.uid();
        (owner == 0 || owner == geteuid().as_raw()) && metadata.mode() & 0o022 == 0
    })
}
