//! Replicas whose clocks are minutes apart: what is timed is timed by the database's clock.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use berth_tests::content::Blob;
use berth_tests::load::{Client, Worker};
use berth_tests::wire::{self, get, patch, post, put};
use berth_tests::{Launch, wait};

use crate::group::{Blobs, Replicas};
use crate::size::Size;
use crate::{database, mixed, uploads};

/// Debian's libfaketime for programs with threads.
const FAKE: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// Seconds that each replica's clock is wrong by.
const WRONG: [i64; 3] = [0, 300, -300];

const PURGING: &str = "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING";
/// How long after its last byte an upload is purged.
const AGE: Duration = Duration::from_secs(8);

#[test]
#[ignore = "run by cargo xtask replicas"]
fn uploads_and_a_mixed_load_do_not_mind() -> Result<()> {
    let size = Size::from_environment();
    let blobs = Blobs::in_a_bucket()?;
    let replicas = start(&blobs.with(&database::shared()?.database()?))?;
    uploads::upload_in_peace(replicas.address(), size.uploads / 5)?;
    let mut workers: Vec<Worker> = (0..4).map(|number| Worker::new(number, 6)).collect();
    mixed::work(&replicas, &mut workers, size.calm)?;
    replicas.stop()
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn an_upload_is_purged_when_it_is_old_and_not_before() -> Result<()> {
    let blobs = Blobs::in_a_bucket()?;
    let replicas = start(&purging(&blobs)?)?;
    let mut client = Client::new(replicas.address());
    let mut begin = || client.expect(202, &post("/v2/app/blobs/uploads/"))?.location();
    let (live, abandoned) = (begin()?, begin()?);

    // Longer than the age in all, and never half of it without a byte.
    let blob = Blob::random(1, 400);
    let mut session = live;
    for (number, chunk) in blob.bytes.chunks(100).enumerate() {
        thread::sleep(AGE / 2 - AGE / 16);
        let from = number * 100;
        let range = format!("{from}-{}", from + chunk.len() - 1);
        let chunk = patch(session).header("Content-Range", range).body(chunk);
        let answer = client.expect(202, &chunk).context("a live upload was purged")?;
        session = answer.location()?;
    }
    client.expect(201, &put(session).with_query(&format!("digest={}", blob.digest)))?;
    uploads::pull(replicas.address(), &blob)?;

    wait::until("the abandoned upload is purged", || {
        Ok(client.send(&get(&*abandoned))?.status == 404)
    })?;
    replicas.stop()
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn an_abandoned_upload_is_kept_until_it_is_old() -> Result<()> {
    let blobs = Blobs::in_a_bucket()?;
    let replicas = start(&purging(&blobs)?)?;
    let mut client = Client::new(replicas.address());
    let session = client.expect(202, &post("/v2/app/blobs/uploads/"))?.location()?;
    let began = Instant::now();
    wait::until("the upload is purged", || {
        let asked = began.elapsed();
        let gone = client.send(&get(&*session))?.status == 404;
        ensure!(!gone || asked + Duration::from_secs(1) > AGE, "it was purged after {asked:?}");
        Ok(gone)
    })?;
    replicas.stop()
}

/// How to start a replica that looks for abandoned uploads all the time.
fn purging(blobs: &Blobs) -> Result<Launch> {
    let launch = blobs.with(&database::shared()?.database()?);
    let age = format!("{}s", AGE.as_secs());
    Ok(launch.env(format!("{PURGING}_AGE"), age).env(format!("{PURGING}_INTERVAL"), "1s"))
}

/// Replicas with clocks as wrong as [`WRONG`] says, which their answers show.
fn start(launch: &Launch) -> Result<Replicas> {
    let launches =
        WRONG.iter().map(|seconds| with_clock(launch, *seconds)).collect::<Result<_>>()?;
    let replicas = Replicas::start_each(launches, 7)?;
    let right = date(replicas.addresses()[0])?;
    for (address, wrong) in replicas.addresses().iter().zip(WRONG) {
        let found = date(*address)? - right;
        ensure!((found - wrong).abs() < 10, "a clock is {found} s apart, not {wrong}");
    }
    Ok(replicas)
}

fn with_clock(launch: &Launch, seconds: i64) -> Result<Launch> {
    let library = FAKE.iter().find(|path| Path::new(path).is_file());
    let library = library.context("libfaketime is not installed: run `cargo xtask setup`")?;
    Ok(launch
        .clone()
        .env("LD_PRELOAD", library)
        .env("FAKETIME", format!("{seconds:+}s"))
        // Time that passes is measured as it passes.
        .env("DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1"))
}

/// A replica's time, in seconds.
fn date(address: std::net::SocketAddr) -> Result<i64> {
    let answer = wire::send(address, &get("/v2/"))?.expect(200)?;
    let date = jiff::fmt::rfc2822::parse(answer.header("date")?)?;
    Ok(date.timestamp().as_second())
}
