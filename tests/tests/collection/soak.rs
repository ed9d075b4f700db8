use std::env;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, ensure};
use berth_test_stores::Postgres;
use berth_tests::stores::Stored;
use berth_tests::tree::objects;
use berth_tests::{Launch, Server, wait};

use crate::leftovers::blobs_of_tree;
use crate::worker::{Counts, Worker, layers};

const WORKERS: u64 = 8;

/// Collection without a rest: it looks several times a second, promises hold for no longer than a push takes, and bytes
/// go almost at once.
fn restless(launch: Launch) -> Launch {
    const SECTION: &str = "REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECTION";
    const PURGING: &str = "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING";
    launch
        .env("REGISTRY_STORAGE_REDIRECT_DISABLE", "true")
        .env("REGISTRY_STORAGE_DELETE_UNDELETE", "0s")
        .env(format!("{SECTION}_INTERVAL"), "50ms")
        .env(format!("{SECTION}_LEASE"), "4s")
        .env(format!("{SECTION}_GRACEPERIOD"), "200ms")
        .env(format!("{PURGING}_GRACEPERIOD"), "1s")
        .env(format!("{PURGING}_INTERVAL"), "500ms")
}

#[test]
#[ignore = "run by cargo xtask soak"]
fn nobody_notices_on_a_filesystem() -> Result<()> {
    let root = tempfile::tempdir()?;
    let launch = restless(Launch::filesystem(root.path())?);
    soak(&[launch], 0, &|| blobs_of_tree(root.path()))
}

#[test]
#[ignore = "run by cargo xtask soak"]
fn nobody_notices_in_an_object_store() -> Result<()> {
    let stored = Stored::s3()?;
    let bucket = stored.bucket.clone().context("the bucket is a folder")?;
    let root = tempfile::tempdir()?;
    let launch = restless(stored.launch.clone())
        .env("REGISTRY_METADATA_SQLITE_PATH", root.path().join("berth.db"));
    soak(&[launch], 0, &|| objects(&bucket))
}

#[test]
#[ignore = "run by cargo xtask soak"]
fn nobody_notices_when_it_is_killed_again_and_again() -> Result<()> {
    let root = tempfile::tempdir()?;
    let launch = restless(Launch::filesystem(root.path())?);
    soak(&[launch], 10, &|| blobs_of_tree(root.path()))
}

/// All replicas collect what all of them delete from one folder.
#[test]
#[ignore = "run by cargo xtask soak"]
fn nobody_notices_where_replicas_share_a_folder() -> Result<()> {
    let server = Postgres::options().fsync(false).start()?;
    let root = tempfile::tempdir()?;
    let launch =
        restless(Launch::filesystem(root.path())?).env("REGISTRY_METADATA_URL", server.database()?);
    soak(&[launch.clone(), launch], 0, &|| blobs_of_tree(root.path()))
}

/// What the storage holds.
type Look<'a> = &'a dyn Fn() -> Result<Vec<std::path::PathBuf>>;

fn soak(launches: &[Launch], kills: u32, look: Look<'_>) -> Result<()> {
    let seconds = from_environment("BERTH_SOAK_SECONDS")?.unwrap_or(15);
    let seed = match from_environment("BERTH_SOAK_SEED")? {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64,
    };
    println!("BERTH_SOAK_SEED={seed} BERTH_SOAK_SECONDS={seconds}");
    let run = || -> Result<()> {
        let counts = Counts::default();
        let pool = layers(seed);
        let mut workers: Vec<_> =
            (0..WORKERS).map(|number| Worker::new(number, seed, pool.clone(), &counts)).collect();
        let rounds = kills.max(1);
        for round in 1..=rounds {
            let time = Duration::from_secs(seconds) / rounds;
            let mut servers = start(launches)?;
            let addresses: Vec<_> = servers.iter().map(Server::address).collect();
            load(&mut workers, &addresses, time).with_context(|| format!("in round {round}"))?;
            if kills > 0 {
                servers.drain(..).try_for_each(Server::kill)?;
                servers = start(launches)?;
            }
            let address = servers[0].address();
            workers.iter().try_for_each(|worker| worker.pull_all(address))?;
            if round == rounds {
                end(&mut workers, address, &launches[0], look)?;
            }
            servers.into_iter().try_for_each(Server::stop)?;
        }
        println!("{counts:?}");
        Ok(())
    };
    run().with_context(|| format!("with BERTH_SOAK_SEED={seed}"))
}

fn start(launches: &[Launch]) -> Result<Vec<Server>> {
    launches.iter().map(Launch::start).collect()
}

fn load(workers: &mut [Worker<'_>], addresses: &[SocketAddr], time: Duration) -> Result<()> {
    let enough = &AtomicBool::new(false);
    thread::scope(|scope| {
        let running: Vec<_> = workers
            .iter_mut()
            .map(|worker| scope.spawn(move || worker.work(addresses, enough)))
            .collect();
        let end = Instant::now() + time;
        while Instant::now() < end && !running.iter().any(|worker| worker.is_finished()) {
            thread::sleep(Duration::from_millis(20));
        }
        enough.store(true, std::sync::atomic::Ordering::SeqCst);
        running
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?)
    })
}

/// Everything is deleted, and then everything goes. A load that leaves no processor free leaves more garbage than
/// is collected beside it, and the rest is asked for.
fn end(
    workers: &mut [Worker<'_>],
    address: SocketAddr,
    launch: &Launch,
    look: Look<'_>,
) -> Result<()> {
    let before = look()?.len();
    workers.iter_mut().try_for_each(|worker| worker.delete_all(address))?;
    let collected_all = || {
        let told = launch.command(&["garbage-collect", "--quiet"])?.output()?;
        ensure!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        Ok(look()?.is_empty())
    };
    wait::until("nothing is left", collected_all).with_context(|| {
        let left: Vec<_> = look().unwrap_or_default().into_iter().take(5).collect();
        format!("of {before} files these are left: {left:?}")
    })
}

pub(crate) fn from_environment(name: &str) -> Result<Option<u64>> {
    let Ok(text) = env::var(name) else { return Ok(None) };
    let number = text.parse().ok();
    ensure!(number.is_some(), "{name} must be a number, not {text:?}");
    Ok(number)
}
