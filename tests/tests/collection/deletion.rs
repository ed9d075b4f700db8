//! `berth delete` and `berth restore`, beside a registry that runs and without one.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Result, ensure};
use berth_tests::content::{Blob, Manifest};
use berth_tests::load::Client;
use berth_tests::tree::files;
use berth_tests::wire::{delete, get, post, put};
use berth_tests::{Launch, Server, berth_binary};

fn berth(root: &Path, arguments: &[&str]) -> Result<Output> {
    let output = Command::new(berth_binary()?)
        .args(arguments)
        .env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", root)
        .env("REGISTRY_STORAGE_DELETE_ENABLED", "true")
        .stdin(Stdio::null())
        .output()?;
    Ok(output)
}

/// What the command tells when it succeeds.
fn told(root: &Path, arguments: &[&str]) -> Result<String> {
    let output = berth(root, arguments)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{arguments:?}: {}\n{text}{error}", output.status);
    Ok(text)
}

/// What the command tells when it fails.
fn refused(root: &Path, arguments: &[&str]) -> Result<String> {
    let output = berth(root, arguments)?;
    ensure!(!output.status.success(), "{arguments:?} succeeded");
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn push(server: &Server, tag: &str) -> Result<Manifest> {
    let mut client = Client::new(server.address());
    let (config, layer) = (Blob::new("{}"), Blob::new(format!("the layer of {tag}")));
    for blob in [&config, &layer] {
        let target = format!("/v2/team/app/blobs/uploads/?digest={}", blob.digest);
        client.expect(201, &post(target).body(&*blob.bytes))?;
    }
    let manifest = Manifest::image(&config, &[&layer]);
    let target = format!("/v2/team/app/manifests/{tag}");
    let request = put(target).header("Content-Type", &manifest.media_type).body(&*manifest.bytes);
    client.expect(201, &request)?;
    Ok(manifest)
}

fn expect(server: &Server, status: u16, tag: &str) -> Result<()> {
    let target = format!("/v2/team/app/manifests/{tag}");
    Client::new(server.address()).expect(status, &get(target)).map(drop)
}

#[test]
#[ignore = "run by cargo xtask soak"]
fn they_ask_the_registry_that_runs() -> Result<()> {
    let root = tempfile::tempdir()?;
    let server = Launch::filesystem(root.path())?.start()?;
    let one = push(&server, "one")?;
    push(&server, "two")?;

    let text = told(root.path(), &["delete", "team/app:one"])?;
    ensure!(text.contains("`berth restore team/app:one` brings it back until 2"), "{text}");
    expect(&server, 404, "one")?;
    let text = told(root.path(), &["restore", "team/app:one"])?;
    ensure!(text.contains("restored team/app:one"), "{text}");
    expect(&server, 200, "one")?;

    let name = format!("team/app@{}", one.digest);
    told(root.path(), &["delete", &name])?;
    expect(&server, 404, "one")?;
    let text = told(root.path(), &["restore", "--list"])?;
    ensure!(text.starts_with(&format!("{name}, 1 manifest and 1 tag: deleted ")), "{text}");
    told(root.path(), &["restore", &name])?;
    expect(&server, 200, "one")?;
    ensure!(told(root.path(), &["restore", "--list", "team/app"])?.is_empty());

    let text = refused(root.path(), &["delete", "team/app"])?;
    ensure!(text.contains("--yes"), "{text}");
    told(root.path(), &["delete", "--yes", "team/app"])?;
    expect(&server, 404, "two")?;
    let repository = root.path().join("docker/registry/v2/repositories/team/app");
    ensure!(files(&repository.join("_manifests"))?.is_empty(), "the tree follows");
    push(&server, "two")?;
    let text = told(root.path(), &["restore", "team/app"])?;
    ensure!(text.contains("restored team/app:one"), "{text}");
    expect(&server, 200, "one")?;
    ensure!(repository.join("_manifests/tags/one/current/link").exists(), "the tree follows");

    let text = refused(root.path(), &["restore", "team/app:none"])?;
    ensure!(text.contains("nothing named team/app:none can be had back"), "{text}");
    let text = refused(root.path(), &["delete", "team/app:none"])?;
    ensure!(text.contains("not in this repository"), "{text}");
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask soak"]
fn they_work_by_themselves_where_none_runs() -> Result<()> {
    let root = tempfile::tempdir()?;
    let start = || Launch::filesystem(root.path())?.start();
    let server = start()?;
    let image = push(&server, "one")?;
    server.stop()?;

    told(root.path(), &["delete", "-y", "team/app"])?;
    let server = start()?;
    Client::new(server.address()).expect(404, &get("/v2/team/app/tags/list"))?;
    // A blob that is deleted by itself is gone for good, and what needs it, too.
    let layer = Blob::new("the layer of one");
    let request = delete(format!("/v2/team/app/blobs/{}", layer.digest));
    Client::new(server.address()).expect(202, &request)?;
    server.stop()?;

    let text = refused(root.path(), &["restore", "team/app"])?;
    ensure!(text.contains("nothing of team/app could be brought back"), "{text}");
    let output = berth(root.path(), &["restore", "team/app"])?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(text.contains(&image.digest) && text.contains(&layer.digest), "{text}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask soak"]
fn a_setting_that_forbids_deletion_is_named() -> Result<()> {
    let root = tempfile::tempdir()?;
    let server =
        Launch::filesystem(root.path())?.env("REGISTRY_STORAGE_DELETE_ENABLED", "false").start()?;
    push(&server, "one")?;
    for name in ["team/app:one", "team/app"] {
        let text = refused(root.path(), &["delete", "--yes", name])?;
        ensure!(text.contains("storage.delete.enabled"), "{text}");
    }
    expect(&server, 200, "one")?;
    server.stop()?;
    let text = refused(root.path(), &["delete", "team/app:a b"])?;
    ensure!(text.contains("team/app:a b"), "{text}");
    Ok(())
}
