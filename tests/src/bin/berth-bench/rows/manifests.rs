//! Manifest GET by tag and by digest, over kept connections.

use std::time::Duration;

use anyhow::Result;

use super::{Row, in_turn, stop_all};
use crate::Bench;
use crate::content::{Image, MANIFEST_TYPE};
use crate::load::{self, Target, hey, wrk};
use crate::peers::Server;
use crate::results::{Metric, RowRun};

pub(crate) const BY_TAG: &str = "by tag";
pub(crate) const BY_DIGEST: &str = "by digest";

const REPOSITORY: &str = "bench/image";
const TAG: &str = "latest";
/// Before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);

pub(super) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let image = Image::new();
    let by_tag = format!("/v2/{REPOSITORY}/manifests/{TAG}");
    let by_digest = format!("/v2/{REPOSITORY}/manifests/{}", image.digest);
    let cases = [(BY_TAG, by_tag.as_str()), (BY_DIGEST, by_digest.as_str())];
    let settings = &bench.settings;
    run.setting(format!(
        "a manifest of {} bytes; wrk with {} threads and {} kept connections for {} s, {} rounds; the processor is \
         shared by wrk and the server",
        image.manifest.len(),
        load::THREADS,
        settings.connections,
        settings.manifest_time.as_secs(),
        settings.rounds,
    ));
    let servers = Row::Manifests.start(bench, |_| true)?;
    for server in &servers {
        server.store_image(REPOSITORY, TAG, &image)?;
        for (_, path) in cases {
            server.verify(path, &image.manifest, MANIFEST_TYPE)?;
            measure(bench, server, path, WARM_UP)?;
        }
    }
    for round in 0..settings.rounds {
        for server in in_turn(&servers, round) {
            for (case, path) in cases {
                let values = measure(bench, server, path, settings.manifest_time)?;
                run.record(case, &server.name, round, &values);
            }
        }
    }
    cross_check(bench, &servers, &by_tag, run);
    stop_all(servers)
}

pub(super) fn measure(
    bench: &Bench,
    server: &Server,
    path: &str,
    time: Duration,
) -> Result<Vec<(Metric, f64)>> {
    let base = format!("http://{}", server.address);
    let before = server.cpu_seconds()?;
    let load = wrk(&bench.work, &base, &Target::Path(path), bench.settings.connections, time)?;
    let requests = load.requests as f64;
    let mut values = vec![
        (Metric::RequestsPerSecond, requests / load.seconds),
        (Metric::MedianMilliseconds, load.p50),
        (Metric::P99Milliseconds, load.p99),
    ];
    if let (Some(before), Some(after)) = (before, server.cpu_seconds()?) {
        values.push((Metric::ServerMicrosecondsPerRequest, (after - before) * 1e6 / requests));
    }
    Ok(values)
}

/// Another load generator, once: it takes more of the processor, but the order of the peers should be the same.
fn cross_check(bench: &Bench, servers: &[Server], path: &str, run: &mut RowRun) {
    let found: Vec<String> = servers
        .iter()
        .filter_map(|server| {
            let url = format!("http://{}{path}", server.address);
            let rate = hey(&url, bench.settings.connections, bench.settings.manifest_time)?;
            Some(format!("{} {rate:.0}", server.name))
        })
        .collect();
    match found.is_empty() {
        true => run.note("`hey` is not installed, so no other load generator was asked"),
        false => run.note(format!(
            "cross-check by tag with `hey`, which takes more of the processor itself, requests/s: {}",
            found.join("; ")
        )),
    }
}
