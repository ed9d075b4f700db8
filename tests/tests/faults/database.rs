//! Databases that cannot be used: a clear message and a non-zero exit, and the file is left as it is.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Result, bail, ensure};
use berth_tests::{Launch, Server};
use tempfile::TempDir;

use crate::client::Client;

/// A data directory with an image in it, and the layer of the image.
fn used() -> Result<(TempDir, berth_tests::content::Blob)> {
    let directory = tempfile::tempdir()?;
    let server = Launch::filesystem(directory.path())?.start()?;
    let layer = server.push_image("app", "1", 1)?;
    for number in 0..20 {
        server.push_image(&format!("filler-{number}"), "1", number + 10)?;
    }
    server.stop()?;
    Ok((directory, layer))
}

/// Starts a registry that must not start, and gives what it said.
fn refused(launch: &Launch) -> Result<String> {
    match launch.start() {
        Ok(_) => bail!("it started"),
        Err(error) => {
            let told = error.to_string();
            ensure!(told.contains("ended with exit status: 1"), "{told}");
            ensure!(!told.contains("panicked"), "{told}");
            Ok(told)
        }
    }
}

fn says(told: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(told.contains(part), "{part:?} is not in:\n{told}");
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_second_registry_on_the_same_data_is_told_of_the_first() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let launch = Launch::filesystem(directory.path())?;
    let server = launch.start()?;
    for _ in 0..3 {
        says(
            &refused(&launch)?,
            &["berth.db", "in use by another process", "directory of its own"],
        )?;
    }
    // The first has taken no harm, and the second can have its place.
    let layer = server.push_image("app", "1", 1)?;
    server.expect_blob("app", &layer)?;
    server.kill()?;
    let server = launch.start()?;
    server.expect_blob("app", &layer)?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_damaged_database_is_told_and_not_touched() -> Result<()> {
    for (name, harm) in HARMS {
        println!("{name}");
        let (directory, _) = used()?;
        let path = directory.path().join("berth.db");
        harm(&path)?;
        let harmed = fs::read(&path)?;
        let told = refused(&Launch::filesystem(directory.path())?)?;
        says(&told, &["berth.db", "damaged", "backup"])?;
        ensure!(fs::read(&path)? == harmed, "{name}: the file was changed");
    }
    Ok(())
}

/// What a hand or a disk may do to a file.
type Harm = fn(&Path) -> Result<()>;

const HARMS: [(&str, Harm); 4] = [
    ("another file in its place", |path| {
        Ok(fs::write(path, "this is no database\n".repeat(1000))?)
    }),
    ("half of it", |path| {
        let file = fs::File::options().write(true).open(path)?;
        Ok(file.set_len(file.metadata()?.len() / 2)?)
    }),
    ("garbage over its first page", |path| overwrite(path, 0, 4096)),
    ("garbage over its middle", |path| {
        let len = fs::metadata(path)?.len();
        overwrite(path, 4096, len as usize - 2 * 4096)
    }),
];

fn overwrite(path: &Path, at: u64, len: usize) -> Result<()> {
    let mut file = fs::File::options().write(true).open(path)?;
    file.seek(SeekFrom::Start(at))?;
    Ok(file.write_all(&berth_tests::content::random_bytes(1, len))?)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_database_that_is_restored_from_a_backup_serves_again() -> Result<()> {
    let (directory, layer) = used()?;
    let path = directory.path().join("berth.db");
    let backup = fs::read(&path)?;
    fs::write(&path, "harm")?;
    refused(&Launch::filesystem(directory.path())?)?;
    fs::write(&path, backup)?;
    let server: Server = Launch::filesystem(directory.path())?.start()?;
    server.expect_blob("app", &layer)?;
    server.registry().verify("app", "1")?;
    server.stop()
}
