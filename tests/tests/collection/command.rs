//! `berth garbage-collect`, beside a registry that runs and without one.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use berth_tests::content::{Blob, Manifest};
use berth_tests::load::Client;
use berth_tests::wire::{delete, post, put};
use berth_tests::{Launch, Server, berth_binary};

use crate::leftovers::blobs_of_tree;

const SECTION: &str = "REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECTION";

/// A registry that collects only when it is told to, and then everything.
fn start(root: &Path) -> Result<Server> {
    Launch::filesystem(root)?
        .env("REGISTRY_STORAGE_DELETE_UNDELETE", "0s")
        .env(format!("{SECTION}_ENABLED"), "false")
        .env(format!("{SECTION}_LEASE"), "0s")
        .env(format!("{SECTION}_GRACEPERIOD"), "0s")
        .start()
}

fn collect(root: &Path, options: &[&str]) -> Result<String> {
    let output = Command::new(berth_binary()?)
        .arg("garbage-collect")
        .args(options)
        .env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", root)
        .env("REGISTRY_STORAGE_DELETE_UNDELETE", "0s")
        .env(format!("{SECTION}_LEASE"), "0s")
        .env(format!("{SECTION}_GRACEPERIOD"), "0s")
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}\n{text}{error}", output.status);
    Ok(text)
}

fn push(server: &Server, tag: &str) -> Result<Manifest> {
    let mut client = Client::new(server.address());
    let (config, layer) = (Blob::new("{}"), Blob::new(format!("the layer of {tag}")));
    for blob in [&config, &layer] {
        let target = format!("/v2/app/blobs/uploads/?digest={}", blob.digest);
        client.expect(201, &post(target).body(&*blob.bytes))?;
    }
    let manifest = Manifest::image(&config, &[&layer]);
    let target = format!("/v2/app/manifests/{tag}");
    let request = put(target).header("Content-Type", &manifest.media_type).body(&*manifest.bytes);
    client.expect(201, &request)?;
    Ok(manifest)
}

fn delete_tag(server: &Server, tag: &str) -> Result<()> {
    let request = delete(format!("/v2/app/manifests/{tag}"));
    Client::new(server.address()).expect(202, &request).map(drop)
}

#[test]
#[ignore = "run by cargo xtask soak"]
fn it_asks_the_registry_that_runs() -> Result<()> {
    let root = tempfile::tempdir()?;
    let server = start(root.path())?;
    let (kept, gone) = (push(&server, "kept")?, push(&server, "gone")?);
    delete_tag(&server, "gone")?;
    // Waits for the links of the pushes, which are written behind them.
    collect(root.path(), &[])?;
    ensure!(blobs_of_tree(root.path())?.len() == 5, "an untagged manifest is kept");

    let told = collect(root.path(), &["--dry-run", "--delete-untagged"])?;
    ensure!(
        told.contains(&format!("would delete the untagged manifest app@{}", gone.digest)),
        "{told}"
    );
    ensure!(!told.contains(&kept.digest), "{told}");
    ensure!(blobs_of_tree(root.path())?.len() == 5, "a dry run changes nothing");

    let told = collect(root.path(), &["--delete-untagged"])?;
    ensure!(told.contains("1 untagged manifests deleted; 1 links let go"), "{told}");
    ensure!(told.contains("2 blobs removed"), "{told}");
    let left = blobs_of_tree(root.path())?;
    ensure!(left.len() == 3, "the config is the other image's, too: {left:?}");
    ensure!(collect(root.path(), &["--quiet"])?.is_empty());
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask soak"]
fn it_collects_by_itself_where_none_runs() -> Result<()> {
    let root = tempfile::tempdir()?;
    let server = start(root.path())?;
    push(&server, "gone")?;
    delete_tag(&server, "gone")?;
    server.stop()?;

    let told = collect(root.path(), &["-m"])?;

    ensure!(told.contains("3 blobs removed"), "{told}");
    ensure!(blobs_of_tree(root.path())?.is_empty());
    let layers = root.path().join("docker/registry/v2/repositories/app/_layers/sha256");
    let links = std::fs::read_dir(&layers).map_or(0, Iterator::count);
    ensure!(links == 0, "the links are gone, too");
    start(root.path())?.stop().context("and the registry starts again")
}
