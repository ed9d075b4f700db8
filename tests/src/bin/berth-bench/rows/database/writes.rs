//! Manifest PUT, each connection into a repository of its own.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::super::{Row, in_turn, settle, stop_all};
use crate::Bench;
use crate::client::swarm;
use crate::content::{Image, MANIFEST_TYPE, manifest};
use crate::peers::{BERTH, DISTRIBUTION_3, Server};
use crate::results::{Metric, RowRun};

pub(crate) const CASE: &str = "manifest PUT";

/// For how long ext4 does not use the inode of a deleted file again: who makes files meanwhile pays
/// for the search past them (`recently_deleted` in the kernel's `fs/ext4/ialloc.c`).
const DELETED: Duration = Duration::from_secs(60);

pub(in crate::rows) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let row = Row::DatabaseWrites;
    let Some(postgres) = super::postgres(bench, row, run)? else { return Ok(()) };
    let settings = &bench.settings;
    run.setting(format!(
        "{} manifests over {} kept connections, each connection into a repository of its own whose blobs are there, each \
         manifest new and with a tag of its own, {} rounds; `sync` before each, and a rest of {} s behind each of \
         distribution 3, which deletes some files for each manifest, so that ext4 does not have the next server pay for that",
        settings.small_blobs,
        settings.connections,
        settings.rounds,
        DELETED.as_secs(),
    ));
    let image = Image::new();
    let mut servers = row.start(bench, |peer| [BERTH, DISTRIBUTION_3].contains(&&*peer.name))?;
    servers.push(super::start_on(bench, row, &postgres.database()?)?);
    for server in &servers {
        for connection in 0..settings.connections {
            server.store_image(&repository(connection), "latest", &image)?;
        }
    }
    for round in 0..settings.rounds {
        for server in in_turn(&servers, round) {
            let values = measure(bench, server, &image, round)?;
            run.record(CASE, &server.name, round, &values);
            if server.name == DISTRIBUTION_3 {
                std::thread::sleep(DELETED);
            }
        }
    }
    stop_all(servers)
}

fn repository(connection: usize) -> String {
    format!("bench/of-{connection:02}")
}

fn measure(
    bench: &Bench,
    server: &Server,
    image: &Image,
    round: usize,
) -> Result<Vec<(Metric, f64)>> {
    let count = bench.settings.small_blobs;
    let blobs: Vec<_> =
        image.blobs.iter().map(|blob| (blob.digest, blob.bytes.len() as u64)).collect();
    let payloads: Vec<Vec<u8>> =
        (0..count).map(|number| manifest(&blobs, Some((round * count + number) as u32))).collect();
    settle();
    let before = server.cpu_seconds()?;
    let start = Instant::now();
    push_all(server, &payloads, bench.settings.connections, round)?;
    let seconds = start.elapsed().as_secs_f64();
    let mut values = vec![(Metric::RequestsPerSecond, count as f64 / seconds)];
    if let (Some(before), Some(after)) = (before, server.cpu_seconds()?) {
        let each = (after - before) * 1e6 / count as f64;
        values.push((Metric::ServerMicrosecondsPerRequest, each));
    }
    Ok(values)
}

fn push_all(server: &Server, payloads: &[Vec<u8>], connections: usize, round: usize) -> Result<()> {
    let host = server.address;
    let mut waiting = payloads.iter().enumerate();
    swarm(server.address, connections, |connection, answer| {
        if let Some(answer) = answer.filter(|answer| answer.head.status != 201) {
            bail!(
                "a push was answered: {} {}",
                answer.head.status,
                String::from_utf8_lossy(&answer.body)
            );
        }
        Ok(waiting.next().map(|(number, payload)| {
            let name = repository(connection);
            let head = format!(
                "PUT /v2/{name}/manifests/r{round}-{number} HTTP/1.1\r\nHost: {host}\r\nContent-Type: \
                 {MANIFEST_TYPE}\r\nContent-Length: {}\r\n\r\n",
                payload.len()
            );
            [head.as_bytes(), payload].concat()
        }))
    })
}
