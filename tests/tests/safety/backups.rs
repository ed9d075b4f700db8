//! Backups of the database, in the blob store.

use std::fs;

use anyhow::{Result, ensure};
use berth_test_stores::Postgres;
use berth_tests::tree::lose_database;
use berth_tests::{Launch, Target};

use crate::client::{berth, push_image, succeed};
use crate::old_registry::until;

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
    lose_database(root)?;
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
    lose_database(root)?;
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

/// What the steps after the ninth of the schema have made, unmade.
const TO_THE_NINTH_SCHEMA: &str = "
    DROP TABLE misfits;
    DROP TRIGGER cached_manifest_deleted ON manifests;
    DROP FUNCTION cached_manifest_deleted;
    DROP TABLE cached_manifests;
    UPDATE berth_schema SET version = 9";

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_database_in_postgres_is_backed_up_before_its_schema_changes() -> Result<()> {
    let (folder, postgres) = (tempfile::tempdir()?, Postgres::start()?);
    let (root, url) = (folder.path(), postgres.database()?);
    let launch = Launch::filesystem(root)?.target(Target::Berth);
    let launch = launch.env("REGISTRY_METADATA_URL", &url);
    let server = launch.start()?;
    push_image(server.address(), "app", "1", 1)?;
    let before = server.registry().contents()?;
    server.stop()?;
    let backups = root.join("berth/backups");
    ensure!(!backups.exists(), "an empty database and one of today are not backed up");
    let schema = || postgres.sql_at(&url, "SELECT version FROM berth_schema");
    postgres.sql_at(&url, TO_THE_NINTH_SCHEMA)?;

    // Without a backup nothing changes.
    fs::write(&backups, "in the way")?;
    let refused = launch.command(&["scrub", "--list"])?.output()?;
    let told = String::from_utf8_lossy(&refused.stderr);
    ensure!(!refused.status.success() && told.contains("no backup of it could be made"), "{told}");
    ensure!(told.contains("storage.backup.enabled: false does without"), "{told}");
    ensure!(schema()? == "9");
    fs::remove_file(&backups)?;

    let server = launch.start()?;
    ensure!(server.log().contains("backed up before its schema changes"), "{}", server.log());
    ensure!(server.registry().contents()? == before);
    ensure!(schema()? == "11");
    server.stop()?;

    // The backup is the whole of what there was.
    let stored = berth_tests::tree::files(&backups)?;
    ensure!(stored.len() == 1, "{stored:?}");
    fs::copy(&stored[0], root.join("berth.db"))?;
    let server = Launch::filesystem(root)?.target(Target::Berth).start()?;
    ensure!(server.registry().contents()? == before);
    server.stop()?;

    // Who wants none is not held up.
    postgres.sql_at(&url, TO_THE_NINTH_SCHEMA)?;
    launch.clone().env("REGISTRY_STORAGE_BACKUP_ENABLED", "false").start()?.stop()?;
    ensure!(schema()? == "11" && berth_tests::tree::files(&backups)?.len() == 1);

    // Whatever command opens it makes one. Those of one second would have one name.
    berth_tests::tree::files(&backups)?.iter().try_for_each(fs::remove_file)?;
    postgres.sql_at(&url, TO_THE_NINTH_SCHEMA)?;
    let relocated = launch.command(&["metadata", "relocate"])?.output()?;
    ensure!(relocated.status.success(), "{}", String::from_utf8_lossy(&relocated.stderr));
    ensure!(schema()? == "11" && berth_tests::tree::files(&backups)?.len() == 1);
    Ok(())
}
