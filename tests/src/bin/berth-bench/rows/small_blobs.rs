//! Push of many small blobs over many connections.

use std::time::Instant;

use anyhow::{Result, bail};

use super::{Row, in_turn, settle, stop_all};
use crate::Bench;
use crate::client::{Connection, Response, swarm, with_body, with_digest};
use crate::content::{Blob, Random};
use crate::peers::Server;
use crate::results::{Metric, RowRun};
use crate::settings::KIB;

pub(crate) const TWO_REQUESTS: &str = "POST and PUT";
const ONE_REQUEST: &str = "POST alone";

const REPOSITORY: &str = "bench/small";
/// How many blobs of each round are read back.
const READ_BACK: usize = 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    TwoRequests,
    OneRequest,
}

pub(super) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let settings = &bench.settings;
    run.setting(format!(
        "{} blobs of {} KiB of fresh random bytes over {} kept connections, {} rounds; `sync` before each; some blobs of \
         each round are read back and compared",
        settings.small_blobs,
        settings.small_blob / KIB,
        settings.connections,
        settings.rounds,
    ));
    let mut random = Random::new();
    let servers = Row::SmallBlobs.start(bench, |peer| peer.is_registry())?;
    let single: Vec<bool> = servers
        .iter()
        .map(|server| takes_one_request(server, &mut random))
        .collect::<Result<_>>()?;
    let servers: Vec<(Server, bool)> = servers.into_iter().zip(single).collect();
    for round in 0..settings.rounds {
        for (server, takes_one_request) in in_turn(&servers, round) {
            for (case, way) in [(TWO_REQUESTS, Way::TwoRequests), (ONE_REQUEST, Way::OneRequest)] {
                if way == Way::TwoRequests || *takes_one_request {
                    let values = measure(bench, server, way, &mut random)?;
                    run.record(case, &server.name, round, &values);
                }
            }
        }
    }
    for (server, _) in servers.iter().filter(|(_, takes_one_request)| !takes_one_request) {
        run.note(format!("{} does not take a blob in one POST", server.name));
    }
    stop_all(servers.into_iter().map(|(server, _)| server).collect())
}

/// The specification lets a registry answer such a POST with a session instead.
fn takes_one_request(server: &Server, random: &mut Random) -> Result<bool> {
    let blob = Blob::random(random, KIB);
    let path = format!("/v2/{REPOSITORY}/blobs/uploads/?digest={}", blob.digest);
    let headers = [("Content-Type", "application/octet-stream")];
    let answer =
        Connection::open(server.address)?.exchange("POST", &path, &headers, &blob.bytes)?;
    Ok(answer.head.status == 201)
}

fn measure(
    bench: &Bench,
    server: &Server,
    way: Way,
    random: &mut Random,
) -> Result<Vec<(Metric, f64)>> {
    let settings = &bench.settings;
    let blobs: Vec<Blob> =
        (0..settings.small_blobs).map(|_| Blob::random(random, settings.small_blob)).collect();
    settle();
    let before = server.cpu_seconds()?;
    let start = Instant::now();
    push_all(server, &blobs, settings.connections, way)?;
    let seconds = start.elapsed().as_secs_f64();
    let after = server.cpu_seconds()?;
    for blob in blobs.iter().step_by((blobs.len() / READ_BACK).max(1)) {
        let path = format!("/v2/{REPOSITORY}/blobs/{}", blob.digest);
        server.verify(&path, &blob.bytes, "application/octet-stream")?;
    }
    let count = blobs.len() as f64;
    let mut values = vec![(Metric::BlobsPerSecond, count / seconds)];
    if let (Some(before), Some(after)) = (before, after) {
        values.push((Metric::ServerMicrosecondsPerBlob, (after - before) * 1e6 / count));
    }
    Ok(values)
}

fn push_all(server: &Server, blobs: &[Blob], connections: usize, way: Way) -> Result<()> {
    let host = server.address;
    let mut waiting = blobs.iter();
    // What each connection is pushing.
    let mut current: Vec<Option<&Blob>> = vec![None; connections];
    swarm(server.address, connections, |index, answer| {
        let status = answer.as_ref().map(|answer| answer.head.status);
        if let (Some(202), Some(blob), Some(answer)) = (status, current[index], &answer) {
            let path = with_digest(answer.head.location()?, &blob.digest);
            return Ok(Some(with_body("PUT", &host.to_string(), &path, &blob.bytes)));
        }
        match answer {
            Some(answer) if answer.head.status != 201 => {
                bail!("a push was answered: {}", told(&answer))
            }
            _ => {}
        }
        current[index] = waiting.next();
        Ok(current[index].map(|blob| match way {
            Way::TwoRequests => {
                let path = format!("/v2/{REPOSITORY}/blobs/uploads/");
                with_body("POST", &host.to_string(), &path, &[])
            }
            Way::OneRequest => {
                let path = format!("/v2/{REPOSITORY}/blobs/uploads/?digest={}", blob.digest);
                with_body("POST", &host.to_string(), &path, &blob.bytes)
            }
        }))
    })
}

fn told(answer: &Response) -> String {
    format!("{} {}", answer.head.status, String::from_utf8_lossy(&answer.body))
}
