//! What Berth has, for others to read.

use std::fs;

use anyhow::{Result, ensure};
use berth_tests::stores::Stored;
use berth_tests::{Launch, Registry, Target};

use crate::client::{push_image, push_manifest, succeed};
use crate::old_registry::{OldRegistry, programs};

#[test]
#[ignore = "run by cargo xtask faults"]
fn blobs_of_an_object_store_become_a_tree_that_others_serve() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (tree, database) = (folder.path().join("tree"), folder.path().join("berth.db"));
    let stored = Stored::s3()?;
    let launch =
        stored.launch.target(Target::Berth).env("REGISTRY_METADATA_SQLITE_PATH", &database);
    let server = launch.start()?;
    for seed in 0..5 {
        push_image(server.address(), "library/app", &format!("v{seed}"), seed)?;
    }
    push_image(server.address(), "other", "latest", 2)?;
    let ours = server.registry().contents()?;
    for told in ["; 10 blobs copied", "; 0 blobs copied"] {
        let output = launch.command(&["export", &tree.display().to_string()])?.output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        ensure!(said.contains("6 manifests and 6 tags") && said.contains(told), "{said}");
    }
    server.stop()?;
    for program in programs()? {
        let theirs = OldRegistry::on_folder(&program, &tree)?;
        let found = Registry::new(&format!("http://{}", theirs.address))?.contents()?;
        ensure!(found == ours, "{found:#?}\n{ours:#?}");
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_image_layout_goes_out_and_comes_in_again() -> Result<()> {
    let (from, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let layouts = from.path().join("layouts");
    let server = Launch::filesystem(from.path())?.target(Target::Berth).start()?;
    let one = push_image(server.address(), "team/app", "1", 1)?.manifest;
    push_image(server.address(), "team/app", "2", 2)?;
    push_manifest(server.address(), "team/app", "also-1", &one)?;
    push_image(server.address(), "other", "1", 3)?;
    let before = server.registry().contents()?;
    for name in ["team/app", "other"] {
        let layout = layouts.join(name).display().to_string();
        succeed(from.path(), &["export", "--oci-layout", name, &layout])?;
    }
    server.stop()?;

    let all = layouts.display().to_string();
    let told = succeed(to.path(), &["import", "--oci-layout", &all])?;
    ensure!(told.contains("everything was as it should be"), "{told}");
    let server = Launch::filesystem(to.path())?.target(Target::Berth).start()?;
    ensure!(server.registry().contents()? == before);

    let layer = layouts.join("other/blobs/sha256");
    let largest =
        fs::read_dir(layer)?.flatten().max_by_key(|it| it.metadata().map_or(0, |m| m.len()));
    let Some(largest) = largest else { anyhow::bail!("the layout has no blobs") };
    fs::write(largest.path(), "bad")?;
    let other = layouts.join("other").display().to_string();
    let told = succeed(to.path(), &["import", "--oci-layout", &other, "--name", "third"])?;
    ensure!(told.contains("its blob is damaged"), "{told}");
    ensure!(!server.registry().has_manifest("third", "1")?);
    server.stop()
}
