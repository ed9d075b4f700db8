//! Backups of the database, in the blob store.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use berth_tests::{Launch, Target};

use crate::client::{berth, push_image, succeed};
use crate::old_registry::until;

fn lose_the_database(root: &Path) {
    for file in ["berth.db", "berth.db-wal", "berth.db-shm"] {
        let _ = fs::remove_file(root.join(file));
    }
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn accounts_come_back_from_the_backup_and_names_from_the_tree() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    let launch = Launch::filesystem(root)?.target(Target::Berth);
    let server = launch.start()?;
    push_image(server.address(), "app", "old", 1)?;
    succeed(root, &["organisation", "create", "acme"])?;
    succeed(root, &["backup", "now"])?;
    push_image(server.address(), "app", "new", 2)?;
    push_image(server.address(), "app", "old", 3)?;
    let before = server.registry().contents()?;
    let listed = succeed(root, &["backup", "list"])?;
    ensure!(listed.lines().count() == 1 && listed.contains("sha256:"), "{listed}");

    let refused = berth(root, &["backup", "restore"])?;
    ensure!(!refused.status.success(), "the registry has its database");
    server.stop()?;
    lose_the_database(root);
    let told = succeed(root, &["reindex"])?;
    ensure!(told.contains("there was no database"), "{told}");

    let server = launch.start()?;
    ensure!(server.registry().contents()? == before);
    ensure!(succeed(root, &["organisation", "list"])?.contains("acme"));
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_damaged_backup_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    let server = Launch::filesystem(root)?.target(Target::Berth).start()?;
    push_image(server.address(), "app", "1", 1)?;
    succeed(root, &["backup", "now"])?;
    server.stop()?;
    lose_the_database(root);
    let stored = berth_tests::tree::files(&root.join("berth/backups"))?;
    let mut bytes = fs::read(&stored[0])?;
    bytes[5000] ^= 1;
    fs::write(&stored[0], bytes)?;
    let refused = berth(root, &["backup", "restore"])?;
    let told = String::from_utf8_lossy(&refused.stderr);
    ensure!(!refused.status.success() && told.contains("the backup is damaged"), "{told}");
    ensure!(!root.join("berth.db").exists());
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn old_backups_go_when_new_ones_come() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    let server = Launch::filesystem(root)?.target(Target::Berth).start()?;
    push_image(server.address(), "app", "1", 1)?;
    for _ in 0..8 {
        let before = succeed(root, &["backup", "list"])?;
        // A backup is named by the second.
        until(|| {
            succeed(root, &["backup", "now"])?;
            Ok(succeed(root, &["backup", "list"])? != before)
        })?;
    }
    ensure!(succeed(root, &["backup", "list"])?.lines().count() == 7);
    server.stop()
}
