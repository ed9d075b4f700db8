//! Many clients move one tag: the last acknowledged write wins, on every replica, and at once.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, ensure};
use berth_tests::content::{Blob, Manifest, Random, image};
use berth_tests::load::Client;
use berth_tests::wire::{Answer, get, post, put};
use serde_json::json;

use crate::database;
use crate::group::{Blobs, Replicas};
use crate::size::Size;

const TAG: &str = "/v2/moved/manifests/latest";

/// An acknowledged write.
struct Write {
    digest: String,
    started: Instant,
    acknowledged: Instant,
}

/// What a replica answered.
struct Read {
    replica: usize,
    digest: String,
    started: Instant,
    ended: Instant,
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn a_tag_is_the_last_acknowledged_write_on_every_replica() -> Result<()> {
    let size = Size::from_environment();
    let blobs = Blobs::in_a_bucket()?;
    let replicas = Replicas::start(&blobs.with(&database::shared()?.database()?), 2)?;
    let addresses = replicas.addresses().to_vec();
    let config = Blob::random(1, 100);
    let mut client = Client::new(addresses[0]);
    let target = format!("/v2/moved/blobs/uploads/?digest={}", config.digest);
    client.expect(201, &post(target).body(&*config.bytes))?;
    let first = move_tag(&mut client, &config, u64::MAX)?;

    let done = &AtomicBool::new(false);
    let (mut writes, mut reads) = (vec![first], Vec::new());
    thread::scope(|scope| -> Result<()> {
        let (addresses, config) = (&addresses, &config);
        let movers: Vec<_> = (0..size.movers)
            .map(|mover| scope.spawn(move || move_often(addresses, config, mover, size.moves)))
            .collect();
        let readers: Vec<_> = (0..addresses.len())
            .map(|replica| scope.spawn(move || read_until(addresses, replica, done)))
            .collect();
        let moved: Vec<_> = movers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::SeqCst);
        for mover in moved {
            let (written, read) = mover.map_err(|_| anyhow!("a client panicked"))??;
            writes.extend(written);
            reads.extend(read);
        }
        for reader in readers {
            reads.extend(reader.join().map_err(|_| anyhow!("a reader panicked"))??);
        }
        Ok(())
    })?;
    println!("{} writes and {} reads of one tag", writes.len(), reads.len());

    let last: Vec<Read> =
        (0..addresses.len()).map(|replica| read(&addresses, replica)).collect::<Result<_>>()?;
    ensure!(
        last.iter().all(|read| read.digest == last[0].digest),
        "the replicas disagree at the end: {:?}",
        last.iter().map(|read| &read.digest).collect::<Vec<_>>()
    );
    reads.extend(last);
    none_is_stale(&writes, &mut reads)?;
    replicas.stop()
}

/// Writes through whichever replica chance picks, and reads from any other after each.
fn move_often(
    addresses: &[SocketAddr],
    config: &Blob,
    mover: u64,
    moves: u64,
) -> Result<(Vec<Write>, Vec<Read>)> {
    let mut random = Random::new(mover);
    let (mut writes, mut reads) = (Vec::new(), Vec::new());
    for number in 0..moves {
        let mut client = Client::new(*random.choose(addresses));
        writes.push(move_tag(&mut client, config, mover * moves + number)?);
        reads.push(read(addresses, random.below(addresses.len() as u64) as usize)?);
    }
    Ok((writes, reads))
}

fn read_until(addresses: &[SocketAddr], replica: usize, done: &AtomicBool) -> Result<Vec<Read>> {
    let mut reads = Vec::new();
    while !done.load(Ordering::SeqCst) {
        reads.push(read(addresses, replica)?);
    }
    Ok(reads)
}

fn move_tag(client: &mut Client, config: &Blob, number: u64) -> Result<Write> {
    let mut value = image(config, &[]);
    value["annotations"] = json!({ "number": number.to_string() });
    let manifest = Manifest::new(&value);
    let request = put(TAG).header("Content-Type", manifest.media_type).body(manifest.bytes);
    let started = Instant::now();
    client.expect(201, &request)?;
    Ok(Write { digest: manifest.digest, started, acknowledged: Instant::now() })
}

fn read(addresses: &[SocketAddr], replica: usize) -> Result<Read> {
    let started = Instant::now();
    let answer: Answer = Client::new(addresses[replica]).expect(200, &get(TAG))?;
    let digest = answer.header("docker-content-digest")?.to_owned();
    Ok(Read { replica, digest, started, ended: Instant::now() })
}

/// A read that begins when a write is acknowledged may see that write or one that is not wholly before it; so may one
/// that begins when another read has ended that saw the write.
fn none_is_stale(writes: &[Write], reads: &mut [Read]) -> Result<()> {
    let by_digest: HashMap<&str, &Write> =
        writes.iter().map(|write| (&*write.digest, write)).collect();
    let written = |read: &Read| {
        let write = by_digest.get(&*read.digest).copied();
        write.with_context(|| format!("{} was never acknowledged", read.digest))
    };
    // When something was known to have been written, and when that write began.
    let mut known: Vec<(Instant, Instant)> =
        writes.iter().map(|write| (write.acknowledged, write.started)).collect();
    for read in reads.iter() {
        known.push((read.ended, written(read)?.started));
    }
    known.sort();
    reads.sort_by_key(|read| read.started);
    let mut known = known.into_iter().peekable();
    let mut newest = None;
    for read in reads.iter() {
        while let Some((_, began)) = known.next_if(|(since, _)| *since <= read.started) {
            newest = newest.max(Some(began));
        }
        let stale =
            newest.is_some_and(|newest| written(read).is_ok_and(|w| w.acknowledged < newest));
        ensure!(!stale, "replica {} answered with an older write: {}", read.replica, read.digest);
    }
    Ok(())
}

#[test]
fn an_older_write_is_noticed() {
    use std::time::Duration;
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let write = |digest: &str, from, to| Write {
        digest: digest.to_owned(),
        started: at(from),
        acknowledged: at(to),
    };
    let read = |digest: &str, from, to| Read {
        replica: 0,
        digest: digest.to_owned(),
        started: at(from),
        ended: at(to),
    };
    let writes = [write("a", 0, 10), write("b", 20, 40), write("c", 30, 50)];
    let is_fine = |mut reads: Vec<Read>| none_is_stale(&writes, &mut reads).is_ok();
    assert!(is_fine(vec![read("a", 25, 26), read("b", 45, 46), read("c", 60, 61)]));
    // Two writes at the same time may end up in either order.
    assert!(is_fine(vec![read("b", 60, 61)]));
    assert!(!is_fine(vec![read("a", 41, 42)]));
    assert!(!is_fine(vec![read("b", 25, 26), read("a", 27, 28)]));
    assert!(!is_fine(vec![read("x", 0, 1)]));
}
