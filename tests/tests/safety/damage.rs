//! Stored bytes that go bad under a registry that runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use berth_tests::content::Blob;
use berth_tests::tree::blob_data;
use berth_tests::wire::{self, get};
use berth_tests::{Launch, Target};

use crate::client::{berth, blob_status, expect_blob, push_image, succeed};
use crate::old_registry::until;

/// The file of a blob.
pub(crate) fn data(root: &Path, blob: &Blob) -> PathBuf {
    blob_data(root, &blob.digest)
}

fn flip_a_bit(path: &Path) -> Result<()> {
    let mut bytes = fs::read(path)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    Ok(fs::write(path, bytes)?)
}

fn launch(root: &Path) -> Result<Launch> {
    Ok(Launch::filesystem(root)?.target(Target::Berth))
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_flipped_bit_is_found_quarantined_and_repaired_by_a_push() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    let server = launch(root)?.start()?;
    let image = push_image(server.address(), "app", "1", 1)?;
    push_image(server.address(), "app", "2", 2)?;
    flip_a_bit(&data(root, &image.layer))?;

    let output = berth(root, &["scrub", "--once"])?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(!output.status.success(), "damage is left");
    ensure!(told.contains(&format!("{} is damaged", image.layer.digest)), "{told}");
    ensure!(told.contains("1 blobs are damaged: 0 were repaired, 1 are in quarantine"), "{told}");

    let digest = &image.layer.digest;
    ensure!(blob_status(server.address(), "app", digest)? == (500, 404));
    let refused = wire::send(server.address(), &get(format!("/v2/app/blobs/{digest}")))?;
    ensure!(refused.text().contains("damaged; push it again"), "{}", refused.text());
    ensure!(!data(root, &image.layer).exists(), "its file is out of the way");

    ensure!(succeed(root, &["scrub", "--list"])?.contains(digest.as_str()));
    push_image(server.address(), "app", "1", 1)?;
    server.registry().verify("app", "1")?;
    ensure!(succeed(root, &["scrub", "--list"])?.is_empty());
    ensure!(succeed(root, &["scrub", "--once"])?.contains("are what their digests say"));
    server.stop()?;
    launch(root)?.start()?.registry().verify("app", "2").map(drop)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_registry_that_runs_finds_it_by_itself_and_a_peer_repairs_it() -> Result<()> {
    let (folder, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let root = folder.path();
    let peer = launch(other.path())?.start()?;
    let image = push_image(peer.address(), "app", "1", 1)?;
    let server = launch(root)?
        .env("REGISTRY_STORAGE_SCRUB_PAUSE", "100ms")
        .env("REGISTRY_STORAGE_SCRUB_PERIOD", "0s")
        .env("REGISTRY_STORAGE_SCRUB_PEERS", format!("[\"http://{}/\"]", peer.host()))
        .start()?;
    push_image(server.address(), "app", "1", 1)?;
    push_image(server.address(), "app", "2", 2)?;
    for harm in [flip_a_bit, |path: &Path| Ok(fs::remove_file(path)?)] {
        harm(&data(root, &image.layer))?;
        until(|| {
            let read = wire::send(
                server.address(),
                &get(format!("/v2/app/blobs/{}", image.layer.digest)),
            )?;
            Ok(read.status == 200 && read.body == image.layer.bytes)
        })?;
    }
    let metrics = wire::send(server.address(), &get("/metrics"))?.expect(200)?.body;
    let metrics = String::from_utf8(metrics)?;
    ensure!(metrics.contains("berth_scrub_repaired_total 2"), "{metrics}");
    ensure!(server.log().contains("a damaged blob was repaired"), "{}", server.log());
    server.stop()?;
    peer.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn link_files_are_written_anew() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    let server = launch(root)?.start()?;
    let image = push_image(server.address(), "app", "1", 1)?;
    server.stop()?;
    let repository = root.join("docker/registry/v2/repositories/app");
    let layer = repository.join("_layers/sha256").join(&image.layer.digest[7..]).join("link");
    let revision = repository
        .join("_manifests/revisions/sha256")
        .join(&image.manifest.digest[7..])
        .join("link");
    fs::remove_file(&layer)?;
    fs::write(&revision, "garbage")?;
    fs::write(repository.join("_manifests/tags/1/current/link"), "")?;
    let told = succeed(root, &["scrub", "--once"])?;
    ensure!(told.contains("3 link files were written anew"), "{told}");
    ensure!(fs::read_to_string(&layer)? == image.layer.digest);
    ensure!(fs::read_to_string(&revision)? == image.manifest.digest);
    ensure!(!succeed(root, &["scrub", "--once"])?.contains("link files"));
    fs::remove_file(root.join("berth.db"))?;
    succeed(root, &["reindex"])?;
    let server = launch(root)?.start()?;
    expect_blob(server.address(), "app", &image.layer)?;
    server.registry().verify("app", "1").map(drop)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_healthy_store_is_left_as_it_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    let server = launch(root)?.start()?;
    for seed in 0..5 {
        push_image(server.address(), "app", &seed.to_string(), seed)?;
    }
    server.stop()?;
    let before = snapshot(root)?;
    for command in [&["scrub", "--once"][..], &["reindex"], &["import"]] {
        succeed(root, command)?;
        ensure!(snapshot(root)? == before, "{command:?} changed the tree");
    }
    Ok(())
}

/// Every file of the tree, with its bytes and its time.
fn snapshot(root: &Path) -> Result<Vec<(PathBuf, Vec<u8>, std::time::SystemTime)>> {
    let mut files = Vec::new();
    for path in berth_tests::tree::files(&root.join("docker"))? {
        let modified = fs::metadata(&path)?.modified()?;
        files.push((path.clone(), fs::read(path)?, modified));
    }
    files.sort();
    Ok(files)
}
