//! Commands that are killed before a call that changes something, and run again: the end is the same.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use berth_tests::content::Blob;
use berth_tests::registry::Contents;
use berth_tests::strace::{self, CALLS, Point, Trace, Tracing};
use berth_tests::tree::{blob_data, lose_database};
use berth_tests::{Launch, Target, berth_binary};

use crate::client::{push_image, succeed};

/// How many points of each call are tried.
const POINTS: u32 = 3;

fn command(root: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(berth_binary()?);
    command.args(arguments).env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", root);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

fn launch(root: &Path) -> Result<Launch> {
    Ok(Launch::filesystem(root)?.target(Target::Berth))
}

/// A used registry with a backup, which has stopped.
fn made(root: &Path) -> Result<Contents> {
    let server = launch(root)?.start()?;
    for seed in 0..4 {
        push_image(server.address(), "app", &seed.to_string(), seed)?;
    }
    succeed(root, &["backup", "now"])?;
    push_image(server.address(), "other", "1", 9)?;
    let contents = server.registry().contents()?;
    server.stop()?;
    Ok(contents)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp").arg("--archive").args([from, to]).status()?;
    ensure!(status.success());
    Ok(())
}

/// The layer that [`damage`] makes a bad one.
fn damaged_layer() -> Blob {
    Blob::random(1, 50_000)
}

/// Makes a layer a bad one.
fn damage(root: &Path) -> Result<()> {
    Ok(fs::write(blob_data(root, &damaged_layer().digest), "bad")?)
}

/// Kills the command over a copy of the scene at each point, runs it again, and checks what is there then.
fn kill_everywhere(
    arguments: &[&str],
    scene: &Path,
    then: impl Fn(&Path) -> Result<()>,
) -> Result<()> {
    if let Some(reason) = strace::why_missing() {
        bail!("{reason}");
    }
    let folder = tempfile::tempdir()?;
    let counted = folder.path().join("counted");
    copy(scene, &counted)?;
    let trace = Trace::new()?;
    Tracing::Count(&trace).of_command(&command(&counted, arguments)?).status()?;
    then(&counted)?;
    let mut killed = 0;
    for (call, count) in trace.counts()?.into_iter().filter(|(call, _)| CALLS.contains(call)) {
        for step in 0..POINTS.min(count) {
            let point = Point { call, number: 1 + step * count / POINTS.min(count) };
            let root = folder.path().join("root");
            copy(scene, &root)?;
            let status = Tracing::Kill(point).of_command(&command(&root, arguments)?).status()?;
            killed += u32::from(!status.success());
            then(&root).with_context(|| format!("killed before {point}"))?;
            fs::remove_dir_all(&root)?;
        }
    }
    println!("{arguments:?} was killed {killed} times");
    ensure!(killed > 0, "nothing was killed");
    Ok(())
}

fn serves(root: &Path, contents: &Contents) -> Result<()> {
    let server = launch(root)?.start()?;
    let found = server.registry().contents()?;
    server.stop()?;
    ensure!(found == *contents, "{found:#?}\n{contents:#?}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_killed_import_is_made_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let contents = made(folder.path())?;
    lose_database(folder.path())?;
    kill_everywhere(&["import"], folder.path(), |root| {
        succeed(root, &["import"])?;
        serves(root, &contents)
    })
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_import_after_a_killed_one_finds_what_is_damaged() -> Result<()> {
    let folder = tempfile::tempdir()?;
    made(folder.path())?;
    lose_database(folder.path())?;
    damage(folder.path())?;
    kill_everywhere(&["import"], folder.path(), |root| {
        succeed(root, &["import"])?;
        let damaged = succeed(root, &["scrub", "--list"])?;
        ensure!(damaged.contains(&damaged_layer().digest), "{damaged}");
        Ok(())
    })
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_killed_reindex_is_made_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let contents = made(folder.path())?;
    lose_database(folder.path())?;
    kill_everywhere(&["reindex"], folder.path(), |root| {
        succeed(root, &["reindex"])?;
        serves(root, &contents)
    })
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_killed_scrub_is_made_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let contents = made(folder.path())?;
    damage(folder.path())?;
    kill_everywhere(&["scrub", "--once"], folder.path(), |root| {
        let left = command(root, &["scrub", "--once"])?.status()?;
        ensure!(!left.success(), "the damage is left");
        let server = launch(root)?.start()?;
        push_image(server.address(), "app", "0", 0)?;
        server.stop()?;
        serves(root, &contents)
    })
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_killed_backup_leaves_no_half_of_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let contents = made(folder.path())?;
    kill_everywhere(&["backup", "now"], folder.path(), |root| {
        succeed(root, &["backup", "now"])?;
        lose_database(root)?;
        succeed(root, &["reindex"])?;
        serves(root, &contents)
    })
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_killed_restore_is_made_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let contents = made(folder.path())?;
    lose_database(folder.path())?;
    kill_everywhere(&["backup", "restore"], folder.path(), |root| {
        if !root.join("berth.db").exists() {
            succeed(root, &["backup", "restore"])?;
        }
        succeed(root, &["reindex"])?;
        serves(root, &contents)
    })
}
