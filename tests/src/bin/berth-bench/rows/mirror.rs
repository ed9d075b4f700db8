//! What clients of a mirror notice of its being one.

use std::time::Instant;

use anyhow::{Context as _, Result};

use super::watch::{group, watch};
use super::{Row, settle};
use crate::Bench;
use crate::client::{Connection, Limit, pull, pull_once};
use crate::content::{Blob, Content, Random};
use crate::peers::{BERTH, Launch, Server};
use crate::results::{Metric, RowRun};
use crate::settings::{GIB, KIB, MIB};

pub(crate) const CROWD: &str = "an image that is not here, over a slow line";
pub(crate) const FIRST_BYTE: &str = "first byte of a blob that is not here";
pub(crate) const CACHED: &str = "a blob that is here";
/// Who is compared with: a client that asks the upstream itself, and a blob of the registry's own.
pub(crate) const STRAIGHT: &str = "straight from upstream";
pub(crate) const OWN: &str = "a blob that was pushed";

const REPOSITORY: &str = "bench/image";
const MIRRORED: &str = "hub/bench/image";
/// Blobs whose first byte is waited for.
const SMALL: usize = 50;
/// Connections that pull what is here.
const PULLS: usize = 8;

pub(super) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let settings = &bench.settings;
    run.setting(format!(
        "{CROWD}: {} layers of {} MiB, one after the other, over {} MiB/s, one client from the upstream and {} from the \
         mirror; {FIRST_BYTE}: {SMALL} blobs of 64 KiB, without a limit on the line; {CACHED}: {PULLS} connections, {} \
         GiB; the upstream is another Berth on the same machine",
        settings.mirror_layers,
        settings.mirror_layer / MIB,
        settings.mirror_line / MIB,
        settings.mirror_clients,
        settings.pulls[1].1 as f64 / GIB as f64,
    ));
    let upstream = Launch::in_folder(bench.folder(Row::Mirror, "upstream")?);
    let berth = bench.berth()?;
    let server = berth.start(&upstream)?;
    let mut layers: Vec<Content> =
        (0..settings.mirror_layers).map(|_| Content::new(settings.mirror_layer)).collect();
    for layer in &mut layers {
        server.store_content(REPOSITORY, layer)?;
    }
    settle();
    first_bytes(bench, run, &server)?;
    cached(bench, run, &server, &mut layers)?;
    server.stop()?;
    crowd(bench, run, &upstream, &layers)
}

/// A mirror of this upstream, with nothing in it.
fn mirror(bench: &Bench, upstream: &Server) -> Result<Server> {
    let launch = Launch::in_folder(bench.folder(Row::Mirror, "mirror")?)
        .set("REGISTRY_MIRRORS_0_PREFIX", "hub")
        .set("REGISTRY_MIRRORS_0_UPSTREAMS_0_URL", &format!("http://{}", upstream.address));
    bench.berth()?.start(&launch)
}

fn blob(repository: &str, digest: &berth_oci::Digest) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

fn first_bytes(bench: &Bench, run: &mut RowRun, upstream: &Server) -> Result<()> {
    let mirror = mirror(bench, upstream)?;
    let mut random = Random::new();
    let (mut near, mut far) =
        (Connection::open(mirror.address)?, Connection::open(upstream.address)?);
    for round in 0..SMALL {
        let small = Blob::random(&mut random, 64 * KIB);
        crate::client::push_blob(&mut far, REPOSITORY, &small)?;
        for (name, connection, repository) in
            [(STRAIGHT, &mut far, REPOSITORY), (BERTH, &mut near, MIRRORED)]
        {
            let begun = Instant::now();
            connection.send_head("GET", &blob(repository, &small.digest), &[])?;
            // It comes with the first byte, if not before it.
            connection.response()?.expect(200)?;
            let took = begun.elapsed().as_secs_f64() * 1e3;
            run.record(FIRST_BYTE, name, round, &[(Metric::Milliseconds, took)]);
        }
    }
    mirror.stop()
}

fn cached(
    bench: &Bench,
    run: &mut RowRun,
    upstream: &Server,
    layers: &mut [Content],
) -> Result<()> {
    let mirror = mirror(bench, upstream)?;
    let layer = layers.first_mut().context("no layer")?;
    mirror.store_content("own/image", layer)?;
    let size = layer.len;
    let paths = [(BERTH, blob(MIRRORED, &layer.digest)), (OWN, blob("own/image", &layer.digest))];
    pull_once(mirror.address, &paths[0].1, 1, size)?;
    let (_, bytes) = bench.settings.pulls[1];
    for round in 0..bench.settings.rounds {
        for (name, path) in super::in_turn(&paths, round) {
            let pulled = pull(mirror.address, path, PULLS, Limit::Bytes(bytes))?;
            let rate = pulled.bytes as f64 / MIB as f64 / pulled.seconds;
            run.record(CACHED, name, round, &[(Metric::MebibytesPerSecond, rate)]);
        }
    }
    mirror.stop()
}

fn crowd(bench: &Bench, run: &mut RowRun, upstream: &Launch, layers: &[Content]) -> Result<()> {
    let settings = &bench.settings;
    let line = settings.mirror_line.to_string();
    let slow = upstream.clone().set("REGISTRY_HTTP_LIMITS_CALLER_BANDWIDTH", &line);
    let server = bench.berth()?.start(&slow)?;
    let mirror = mirror(bench, &server)?;
    let pull_all = |address, repository: &str, clients: usize| -> Result<f64> {
        let mut seconds = 0.0;
        for layer in layers {
            let path = blob(repository, &layer.digest);
            seconds += pull_once(address, &path, clients, layer.len)?.seconds;
        }
        Ok(seconds)
    };
    let straight = pull_all(server.address, REPOSITORY, 1)?;
    run.record(CROWD, STRAIGHT, 0, &[(Metric::Seconds, straight)]);
    let clients = settings.mirror_clients;
    let watched = watch(group(&mirror)?, || pull_all(mirror.address, MIRRORED, clients))?;
    let values = [(Metric::Seconds, watched.result), (Metric::PeakMebibytes, watched.peak)];
    run.record(CROWD, BERTH, 0, &values);
    let told = Connection::open(mirror.address)?.get("/metrics")?.expect(200)?;
    let told = String::from_utf8_lossy(&told.body).into_owned();
    let misses = told.lines().find(|line| line.starts_with("berth_mirror_misses_total"));
    run.note(format!(
        "{} layers were fetched once each if this says so: {}",
        layers.len(),
        misses.unwrap_or("nothing")
    ));
    mirror.stop()?;
    server.stop()
}
