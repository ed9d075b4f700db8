//! A registry on the same machine, whose blobs are taken over where they lie.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use anyhow::Result;
use berth_tests::{Launch, fixtures};
use tempfile::TempDir;

use crate::machine::{Machine, files, publish};

/// The blob of a layer in the registry and in the engine.
fn blobs(tree: &TempDir, machine: &Machine, digest: &str) -> (PathBuf, PathBuf) {
    let hex = digest.trim_start_matches("sha256:");
    let path = format!("sha256/{}/{hex}", &hex[..2]);
    let stored = tree.path().join("docker/registry/v2/blobs").join(&path).join("data");
    (stored, machine.home.path("data/images/blobs").join(path))
}

fn layers(layout: &fixtures::Layout) -> Result<Vec<String>> {
    let bytes = fs::read(layout.path.join("blobs").join(layout.digest.replace(':', "/")))?;
    let manifest: serde_json::Value = serde_json::from_slice(&bytes)?;
    let layers = manifest["layers"].as_array().into_iter().flatten();
    Ok(layers.filter_map(|layer| layer["digest"].as_str().map(str::to_owned)).collect())
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn no_byte_is_moved_and_the_registrys_collector_takes_nothing_away() -> Result<()> {
    let (tree, mut machine, layout) = (tempfile::tempdir()?, Machine::new()?, fixtures::busybox()?);
    let server = Launch::filesystem(tree.path())?.start()?;
    let host = server.host();
    publish(&machine, &layout, &format!("{host}/app:1"))?;
    machine.set_up(&format!("registries:\n  {host}: {{storage: {}}}\n", tree.path().display()))?;
    machine.berth(&format!("pull {host}/app:1"))?;
    let layers = layers(&layout)?;
    for layer in &layers {
        let (stored, ours) = blobs(&tree, &machine, layer);
        assert_eq!(fs::metadata(&stored)?.ino(), fs::metadata(&ours)?.ino());
        // As the collector does.
        fs::remove_file(stored)?;
    }
    let saved = machine.home.path("saved.tar");
    machine.berth(&format!("save -o {} {host}/app:1", saved.display()))?;
    server.stop()
}

#[test]
#[ignore = "started by cargo xtask runner"]
fn what_others_could_have_written_is_pulled_like_anything_else() -> Result<()> {
    let (tree, mut machine, layout) = (tempfile::tempdir()?, Machine::new()?, fixtures::busybox()?);
    let server = Launch::filesystem(tree.path())?.start()?;
    let host = server.host();
    publish(&machine, &layout, &format!("{host}/app:1"))?;
    let layers = layers(&layout)?;
    let (stored, ours) = blobs(&tree, &machine, &layers[0]);
    fs::set_permissions(&stored, fs::Permissions::from_mode(0o666))?;
    machine.set_up(&format!("registries:\n  {host}: {{storage: {}}}\n", tree.path().display()))?;
    machine.berth(&format!("pull {host}/app:1"))?;
    assert_ne!(fs::metadata(&stored)?.ino(), fs::metadata(&ours)?.ino());
    let mut found = Vec::new();
    files(&machine.home.path("data/images/partial"), &mut found)?;
    assert_eq!(found, [] as [PathBuf; 0]);
    server.stop()
}
