//! What the tests do with a registry, whichever it is, and with commands.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use berth_tests::berth_binary;
use berth_tests::content::{Blob, Manifest};
use berth_tests::wire::{self, delete, get, post, put};

/// Pushes a blob as every client does: a session, and one request that ends it.
pub(crate) fn push_blob(address: SocketAddr, repository: &str, blob: &Blob) -> Result<()> {
    let begun = wire::send(address, &post(format!("/v2/{repository}/blobs/uploads/")))?;
    let begun = begun.expect(202)?;
    // distribution tells where to go with the host.
    let location = begun.header("location")?;
    let path = location.split_once("/v2/").map_or(location, |(_, path)| path);
    let join = if path.contains('?') { '&' } else { '?' };
    let target = format!("/v2/{path}{join}digest={}", blob.digest);
    wire::send(address, &put(target).body(&*blob.bytes))?.expect(201).map(drop)
}

/// Pushes a manifest under a tag or a digest.
pub(crate) fn push_manifest(
    address: SocketAddr,
    repository: &str,
    reference: &str,
    manifest: &Manifest,
) -> Result<()> {
    let request = put(format!("/v2/{repository}/manifests/{reference}"))
        .header("Content-Type", &manifest.media_type)
        .body(&*manifest.bytes);
    wire::send(address, &request)?.expect(201).map(drop)
}

/// An image of two blobs.
pub(crate) struct Image {
    pub(crate) layer: Blob,
    pub(crate) manifest: Manifest,
}

/// Pushes an image of two blobs made from `seed`.
pub(crate) fn push_image(
    address: SocketAddr,
    repository: &str,
    tag: &str,
    seed: u64,
) -> Result<Image> {
    let (config, layer) = (Blob::random(2 * seed, 100), Blob::random(2 * seed + 1, 50_000));
    push_blob(address, repository, &config)?;
    push_blob(address, repository, &layer)?;
    let manifest = Manifest::image(&config, &[&layer]);
    push_manifest(address, repository, tag, &manifest)?;
    Ok(Image { layer, manifest })
}

pub(crate) fn delete_manifest(address: SocketAddr, repository: &str, digest: &str) -> Result<()> {
    let request = delete(format!("/v2/{repository}/manifests/{digest}"));
    wire::send(address, &request)?.expect(202).map(drop)
}

/// The status of a blob that is read, and of one that is asked for.
pub(crate) fn blob_status(
    address: SocketAddr,
    repository: &str,
    digest: &str,
) -> Result<(u16, u16)> {
    let target = format!("/v2/{repository}/blobs/{digest}");
    let read = wire::send(address, &get(target.as_str()))?.status;
    Ok((read, wire::send(address, &wire::head(target))?.status))
}

pub(crate) fn expect_blob(address: SocketAddr, repository: &str, blob: &Blob) -> Result<()> {
    let answer = wire::send(address, &get(format!("/v2/{repository}/blobs/{}", blob.digest)))?;
    ensure!(answer.expect(200)?.body == blob.bytes, "{} came back changed", blob.digest);
    Ok(())
}

/// A command of berth's over the tree in a folder.
pub(crate) fn berth(root: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(berth_binary()?);
    command.args(arguments).env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", root);
    Ok(command.output()?)
}

/// The same, which must succeed; gives what it said.
pub(crate) fn succeed(root: &Path, arguments: &[&str]) -> Result<String> {
    let output = berth(root, arguments)?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "berth {arguments:?}: {}\n{told}{error}", output.status);
    Ok(told)
}
