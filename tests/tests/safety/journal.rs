//! Databases that are lost beside a bucket: there the journal is what tells of names.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use berth_test_stores::{Postgres, VersityGateway};
use berth_tests::registry::Contents;
use berth_tests::stores::s3_launch;
use berth_tests::strace::{self, CALLS, Point, Trace, Tracing};
use berth_tests::tree::files;
use berth_tests::{Launch, Server, Target};

use crate::client::{delete_manifest, push_image};
use crate::old_registry::until;

/// How many points of each call a command is killed at.
const POINTS: u32 = 2;

/// A bucket, and a database beside it.
struct Scene {
    store: VersityGateway,
    folder: tempfile::TempDir,
    launch: Launch,
}

impl Scene {
    fn new() -> Result<Self> {
        let (store, folder) = (VersityGateway::start()?, tempfile::tempdir()?);
        let launch = s3_launch(store.access())?.target(Target::Berth);
        let launch = launch.env("REGISTRY_METADATA_SQLITE_PATH", folder.path().join("berth.db"));
        Ok(Self { store, folder, launch })
    }

    fn lose_the_database(&self) -> Result<()> {
        for entry in fs::read_dir(self.folder.path())? {
            let path = entry?.path();
            if path.is_file() {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn succeed(&self, arguments: &[&str]) -> Result<String> {
        let output = self.launch.command(arguments)?.output()?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "berth {arguments:?}: {}\n{told}{error}", output.status);
        Ok(told)
    }

    fn serves(&self, contents: &Contents) -> Result<()> {
        let server = self.launch.start()?;
        let found = server.registry().contents()?;
        server.stop()?;
        ensure!(found == *contents, "{found:#?}\n{contents:#?}");
        Ok(())
    }

    /// What the bucket has below a folder.
    fn files_in(&self, folder: &str) -> Result<Vec<PathBuf>> {
        let mut found = files(&self.store.data())?;
        found.retain(|path| is_below(path, folder));
        found.sort();
        Ok(found)
    }
}

fn is_below(path: &Path, folder: &str) -> bool {
    path.to_string_lossy().contains(folder)
}

/// Pushes, moves and deletes.
fn use_it(server: &Server, first: u64) -> Result<()> {
    let address = server.address();
    for seed in first..first + 4 {
        push_image(address, "team/app", &format!("v{seed}"), seed)?;
    }
    push_image(address, "team/app", "moved", first)?;
    push_image(address, "team/app", "moved", first + 1)?;
    let gone = push_image(address, "gone", "1", first + 5)?;
    delete_manifest(address, "gone", &gone.manifest.digest)?;
    push_image(address, "back", "1", first + 6)?;
    let back = push_image(address, "back", "2", first + 7)?;
    delete_manifest(address, "back", &back.manifest.digest)?;
    push_image(address, "back", "2", first + 7).map(drop)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_lost_database_beside_a_bucket_comes_back_from_the_journal_alone() -> Result<()> {
    let scene = Scene::new()?;
    let server = scene.launch.start()?;
    use_it(&server, 0)?;
    let before = server.registry().contents()?;
    server.stop()?;
    scene.lose_the_database()?;
    let told = scene.succeed(&["reindex"])?;
    ensure!(told.contains("everything was as it should be"), "{told}");
    scene.serves(&before)?;

    // What the new database writes is the end of the journal, not its beginning.
    let server = scene.launch.start()?;
    use_it(&server, 20)?;
    let before = server.registry().contents()?;
    server.stop()?;
    scene.lose_the_database()?;
    scene.succeed(&["reindex"])?;
    scene.serves(&before)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_lost_database_beside_a_bucket_comes_back_from_backup_and_journal() -> Result<()> {
    let scene = Scene::new()?;
    let server = scene.launch.clone().env("REGISTRY_STORAGE_BACKUP_KEEP", "1").start()?;
    use_it(&server, 0)?;
    server.stop()?;
    let whole = scene.files_in("berth/journal")?.len();
    let keep_one = |scene: &Scene| {
        let launch = scene.launch.clone().env("REGISTRY_STORAGE_BACKUP_KEEP", "1");
        let output = launch.command(&["backup", "now"])?.output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(())
    };
    keep_one(&scene)?;
    let cut = scene.files_in("berth/journal")?;
    ensure!(cut.len() == 1 && whole >= 1, "the backup has the rest: {cut:?} of {whole}");

    let server = scene.launch.start()?;
    use_it(&server, 20)?;
    let before = server.registry().contents()?;
    server.stop()?;
    scene.lose_the_database()?;
    let told = scene.succeed(&["reindex"])?;
    ensure!(told.contains("is back"), "{told}");
    scene.serves(&before)?;
    // A database that lacks nothing is left as it is.
    let told = scene.succeed(&["reindex"])?;
    ensure!(told.contains("0 manifests, 0 tags and 0 links"), "{told}");
    scene.serves(&before)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_registry_that_is_killed_loses_nothing_of_the_journal() -> Result<()> {
    let scene = Scene::new()?;
    let mut before = None;
    for round in 0..3 {
        let server = scene.launch.start()?;
        use_it(&server, 20 * round)?;
        before = Some(server.registry().contents()?);
        server.kill()?;
    }
    // What the last one had still to tell is in its database; the next one tells it.
    scene.launch.start()?.stop()?;
    scene.lose_the_database()?;
    scene.succeed(&["reindex"])?;
    scene.serves(&before.context("no round")?)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_blob_that_was_repaired_is_found_at_its_new_place() -> Result<()> {
    let scene = Scene::new()?;
    let server = scene.launch.start()?;
    let image = push_image(server.address(), "app", "1", 1)?;
    let stored = scene.files_in("berth/blobs")?;
    let has_size = |path: &&PathBuf| {
        fs::metadata(path).is_ok_and(|found| found.len() == image.layer.bytes.len() as u64)
    };
    let layer = stored.iter().find(has_size).context("the layer")?;
    let mut bytes = fs::read(layer)?;
    bytes[0] ^= 1;
    fs::write(layer, bytes)?;
    let scrubbed = scene.launch.command(&["scrub", "--once"])?.output()?;
    ensure!(!scrubbed.status.success(), "the damage was not found");
    push_image(server.address(), "app", "1", 1)?;
    let before = server.registry().contents()?;
    server.stop()?;
    scene.lose_the_database()?;
    scene.succeed(&["reindex"])?;
    scene.serves(&before)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_reindex_beside_a_bucket_that_is_killed_is_made_again() -> Result<()> {
    if let Some(reason) = strace::why_missing() {
        anyhow::bail!("{reason}");
    }
    let scene = Scene::new()?;
    let server = scene.launch.start()?;
    use_it(&server, 0)?;
    scene.succeed(&["backup", "now"])?;
    use_it(&server, 20)?;
    let before = server.registry().contents()?;
    server.stop()?;
    scene.lose_the_database()?;
    let trace = Trace::new()?;
    Tracing::Count(&trace).of_command(&scene.launch.command(&["reindex"])?).status()?;
    scene.serves(&before)?;
    let mut killed = 0;
    for (call, count) in trace.counts()?.into_iter().filter(|(call, _)| CALLS.contains(call)) {
        for step in 0..POINTS.min(count) {
            let point = Point { call, number: 1 + step * count / POINTS.min(count) };
            scene.lose_the_database()?;
            let command = scene.launch.command(&["reindex"])?;
            let status = Tracing::Kill(point).of_command(&command).status()?;
            killed += u32::from(!status.success());
            scene.succeed(&["reindex"]).with_context(|| format!("killed before {point}"))?;
            scene.serves(&before).with_context(|| format!("killed before {point}"))?;
        }
    }
    ensure!(killed > 0, "nothing was killed");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn replicas_write_one_journal_and_any_of_them_may_die() -> Result<()> {
    let (store, postgres) = (VersityGateway::start()?, Postgres::start()?);
    let on = |database: &str| -> Result<Launch> {
        let launch = s3_launch(store.access())?.target(Target::Berth);
        Ok(launch.env("REGISTRY_METADATA_URL", database))
    };
    let launch = on(&postgres.database()?)?;
    let (one, other) = (launch.start()?, launch.start()?);
    use_it(&one, 0)?;
    use_it(&other, 20)?;
    push_image(one.address(), "team/app", "moved", 40)?;
    one.kill()?;
    let last = push_image(other.address(), "team/app", "moved", 41)?;
    let before = other.registry().contents()?;
    // The other one has the work when the dead one's hold on it has run out.
    let tells = |file: PathBuf| {
        fs::read_to_string(file).is_ok_and(|text| text.contains(&*last.manifest.digest))
    };
    until(|| {
        let found = files(&store.data())?;
        Ok(found.into_iter().filter(|path| is_below(path, "berth/journal")).any(tells))
    })?;
    other.stop()?;

    let launch = on(&postgres.database()?)?;
    let output = launch.command(&["reindex"])?.output()?;
    ensure!(output.status.success(), "{output:?}");
    let server = launch.start()?;
    let found = server.registry().contents()?;
    ensure!(found == before, "{found:#?}\n{before:#?}");
    server.stop()
}
