//! What a crash leaves: the registry is killed (SIGKILL) at random moments of a mixed load, again and again on one
//! data directory, and after each restart everything it has answered for must be there.
//!
//! Each worker keeps a [`Model`](berth_tests::load::Model) of what it was told. At most one of its requests is under way when the
//! registry dies, and only of that one may the outcome be either of two.
//!
//! `BERTH_CRASH_ROUNDS` sets how often (10 unless told otherwise), `BERTH_CRASH_SEED` repeats the choices of a run;
//! what the kill meets depends on the machine all the same. It needs the optimised build, so it is ignored unless
//! `cargo xtask crash` asks for it.

mod orphans;
mod tree;

use std::env;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use berth_tests::content::Random;
use berth_tests::load::{Client, Counts, Health, Watch, Worker, join, verify_all};
use berth_tests::stores::Stored;
use berth_tests::{Launch, Server, Target};

const WORKERS: u64 = 8;
const ROUNDS: u32 = 10;

#[test]
#[ignore = "run by cargo xtask crash"]
fn what_was_acknowledged_outlives_every_crash() -> Result<()> {
    crashes(|root| Ok((Launch::filesystem(root)?, None)))
}

#[test]
#[ignore = "run by cargo xtask crash"]
fn what_was_acknowledged_outlives_every_crash_where_blobs_are_in_an_object_store() -> Result<()> {
    crashes(|root| {
        let stored = Stored::s3()?;
        let launch = stored
            .launch
            .clone()
            .env("REGISTRY_METADATA_SQLITE_PATH", root.join("berth.db"))
            .env("REGISTRY_STORAGE_REDIRECT_DISABLE", "true");
        Ok((launch, Some(stored)))
    })
}

/// How to start a registry with its database, or all of its data, in a directory, and the store that it needs.
type Start = fn(&Path) -> Result<(Launch, Option<Stored>)>;

fn crashes(start: Start) -> Result<()> {
    let rounds = from_environment("BERTH_CRASH_ROUNDS")?.unwrap_or(ROUNDS);
    let seed = match from_environment("BERTH_CRASH_SEED")? {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64,
    };
    println!("BERTH_CRASH_SEED={seed} BERTH_CRASH_ROUNDS={rounds}");
    let directory = tempfile::tempdir()?;
    let result = run(start, directory.path(), rounds, seed);
    if result.is_err() {
        println!("the data is kept in {}", directory.keep().display());
    }
    result.with_context(|| format!("with BERTH_CRASH_SEED={seed}"))
}

fn run(start: Start, root: &Path, rounds: u32, seed: u64) -> Result<()> {
    let (launch, store) = start(root)?;
    let launch = launch.target(Target::Berth);
    let mut random = Random::new(seed);
    let mut workers: Vec<Worker> = (0..WORKERS).map(|number| Worker::new(number, seed)).collect();
    let mut server = launch.start()?;
    for round in 1..=rounds {
        let until_kill = Duration::from_millis(5 + random.below(396));
        load_and_kill(server, &mut workers, round, until_kill)
            .with_context(|| format!("under the load of round {round}"))?;
        server = launch.start().with_context(|| format!("starting after crash {round}"))?;
        verify_all(server.address(), &mut workers, round == rounds)
            .with_context(|| format!("after crash {round}"))?;
    }
    let counts: Counts = workers.iter().map(|worker| worker.model.counts.clone()).sum();
    let models: Vec<_> = workers.into_iter().map(|worker| worker.model).collect();
    tree::compare_listings(&mut Client::new(server.address()), &models)?;
    server.stop()?;
    println!("{rounds} crashes\n{counts}");
    match store.and_then(|store| store.bucket.clone().zip(Some(store))) {
        Some((bucket, store)) => {
            println!("{}", orphans::purge_and_compare(&launch, &bucket, root)?);
            drop(store);
        }
        None => println!("{}", tree::compare_links(root, &models, &counts, rounds)?),
    }
    Ok(())
}

/// All workers at once, until the registry is gone.
fn load_and_kill(
    server: Server,
    workers: &mut [Worker],
    round: u32,
    until_kill: Duration,
) -> Result<()> {
    let address = server.address();
    let watch = &Watch::default();
    thread::scope(|scope| {
        let running: Vec<_> = workers
            .iter_mut()
            .map(|worker| scope.spawn(move || worker.load(address, watch, round)))
            .collect();
        // It waits for nothing: this is the moment of the crash.
        thread::sleep(until_kill);
        watch.set(Health::Killed);
        server.kill()?;
        join(running)
    })
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Result<Option<T>> {
    let Ok(text) = env::var(name) else { return Ok(None) };
    let number = text.parse().ok();
    ensure!(number.is_some(), "{name} must be a number, not {text:?}");
    Ok(number)
}
