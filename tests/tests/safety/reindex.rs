//! Databases that are lost.

use std::fs;

use anyhow::{Result, ensure};
use berth_tests::content::Manifest;
use berth_tests::tree::lose_database;
use berth_tests::wire::{self, post};
use berth_tests::{Launch, Target};

use crate::client::{delete_manifest, push_image, push_manifest, succeed};

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_lost_database_is_rebuilt_with_all_that_was_acknowledged() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    let launch = Launch::filesystem(root)?.target(Target::Berth);
    let server = launch.start()?;
    let address = server.address();
    let subject = push_image(address, "team/app", "1", 1)?.manifest;
    for seed in 2..8 {
        push_image(address, "team/app", &format!("v{seed}"), seed)?;
    }
    push_image(address, "team/app", "moved", 2)?;
    push_image(address, "team/app", "moved", 3)?;
    let gone = push_image(address, "gone", "1", 9)?;
    delete_manifest(address, "gone", &gone.manifest.digest)?;
    let mut note = serde_json::from_slice::<serde_json::Value>(&subject.bytes)?;
    note["subject"] = subject.descriptor();
    note["artifactType"] = "application/vnd.example.note".into();
    let note = Manifest::new(&note);
    push_manifest(address, "team/app", &note.digest, &note)?;
    let before = server.registry().contents()?;
    let notes = server.registry().referrers("team/app", &subject.digest)?;
    server.stop()?;

    lose_database(root)?;
    let told = succeed(root, &["reindex"])?;
    ensure!(told.contains("everything was as it should be"), "{told}");

    let server = launch.start()?;
    ensure!(server.registry().contents()? == before);
    ensure!(server.registry().referrers("team/app", &subject.digest)? == notes);
    ensure!(!server.registry().has_manifest("gone", "1")?);
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_database_that_is_deleted_under_a_registry_is_told_and_rebuilt() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    let launch = Launch::filesystem(root)?.target(Target::Berth);
    let server = launch.start()?;
    for seed in 0..5 {
        push_image(server.address(), "app", &format!("v{seed}"), seed)?;
    }
    let before = server.registry().contents()?;
    for file in ["berth.db", "berth.db-wal", "berth.db-shm"] {
        fs::remove_file(root.join(file))?;
    }
    let refused = wire::send(server.address(), &post("/v2/app/blobs/uploads/"))?;
    ensure!(refused.status == 503, "{}", refused.status);
    let told = server.log();
    ensure!(told.contains("was deleted or replaced while berth used it"), "{told}");
    ensure!(server.registry().contents()? == before, "what is there is still served");
    server.stop()?;

    succeed(root, &["reindex"])?;
    let server = launch.start()?;
    ensure!(server.registry().contents()? == before);
    push_image(server.address(), "app", "new", 9)?;
    server.stop()
}
