//! What registries ask of an S3 server when nobody pushes, and what it costs them when that takes longer.

use std::time::Duration;

use anyhow::{Result, ensure};
use berth_test_stores::FaultProxy;

use super::{Store, registries};
use crate::Bench;
use crate::client::Connection;
use crate::content::{Image, MANIFEST_TYPE};
use crate::load::{self, Target, wrk};
use crate::peers::Server;
use crate::results::{Metric, RowRun};
use crate::rows::{Row, in_turn};

/// One thing that clients ask for.
struct Question {
    case: &'static str,
    method: &'static str,
    path: String,
    /// What is an answer.
    statuses: &'static [u16],
}

pub(crate) const CASES: [&str; 5] =
    ["manifest GET", "HEAD blob", "blob GET by redirect", "tag list", "catalog"];
pub(crate) const AS_IT_IS: &str = "manifest GET, the store as it is";
pub(crate) const DELAYED: &str = "manifest GET, 30 ms more for each store request";

const DELAY: Duration = Duration::from_millis(30);
/// How often each thing is asked for.
const TIMES: usize = 100;
/// Before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);
const REPOSITORY: &str = "bench/image";
const TAG: &str = "latest";

pub(in crate::rows) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    if !super::is_here(run) {
        return Ok(());
    }
    let settings = &bench.settings;
    run.setting(format!(
        "all requests to the store pass a proxy that counts them: each thing is asked for {TIMES} times on one connection \
         of a registry that was asked for nothing before, and the sum divided (distribution answers HEAD of a blob with \
         307 as well, and its clients then ask the store themselves); then wrk with {} threads and {} kept \
         connections asks for the manifest for {} s, {} rounds, the proxy as it is and then with {} ms for each request",
        load::THREADS,
        settings.connections,
        settings.manifest_time.as_secs(),
        settings.rounds,
        DELAY.as_millis(),
    ));
    let image = Image::new();
    let store = Store::start(bench, Row::StoreRequests)?;
    let mut servers = Vec::new();
    for peer in registries(bench) {
        let (server, proxy) = store.registry_behind(bench, peer)?;
        server.store_image(REPOSITORY, TAG, &image)?;
        servers.push((server, proxy));
    }
    for (server, proxy) in &servers {
        for question in questions(&image) {
            let each = count(server, proxy, &question)?;
            run.record(question.case, &server.name, 0, &[(Metric::StoreRequests, each)]);
        }
    }
    for round in 0..settings.rounds {
        for (server, proxy) in in_turn(&servers, round) {
            for (case, delay) in [(AS_IT_IS, Duration::ZERO), (DELAYED, DELAY)] {
                proxy.delay(delay);
                run.record(case, &server.name, round, &manifests(bench, server)?);
            }
            proxy.heal();
        }
    }
    servers.into_iter().try_for_each(|(server, _)| server.stop())
}

fn questions(image: &Image) -> Vec<Question> {
    let blob = image.blobs.last().map(|blob| blob.digest.to_string()).unwrap_or_default();
    let blob = format!("/v2/{REPOSITORY}/blobs/{blob}");
    const OK: &[u16] = &[200];
    let asked: [(&str, String, &[u16]); 5] = [
        ("GET", manifest(), OK),
        // distribution sends this to the store as well.
        ("HEAD", blob.clone(), &[200, 307]),
        ("GET", blob, &[307]),
        ("GET", format!("/v2/{REPOSITORY}/tags/list"), OK),
        ("GET", "/v2/_catalog".to_owned(), OK),
    ];
    let questions = CASES.into_iter().zip(asked);
    questions
        .map(|(case, (method, path, statuses))| Question { case, method, path, statuses })
        .collect()
}

fn manifest() -> String {
    format!("/v2/{REPOSITORY}/manifests/{TAG}")
}

/// The requests to the store for one of these.
fn count(server: &Server, proxy: &FaultProxy, question: &Question) -> Result<f64> {
    let Question { case, method, path, statuses } = question;
    let mut connection = Connection::open(server.address)?;
    proxy.clear();
    for _ in 0..TIMES {
        let answer = connection.exchange(method, path, &[("Accept", MANIFEST_TYPE)], &[])?;
        let found = answer.head.status;
        ensure!(statuses.contains(&found), "{} answers {case} with {found}", server.name);
    }
    Ok(proxy.requests().len() as f64 / TIMES as f64)
}

fn manifests(bench: &Bench, server: &Server) -> Result<[(Metric, f64); 3]> {
    let base = format!("http://{}", server.address);
    let path = manifest();
    let ask =
        |time| wrk(&bench.work, &base, &Target::Path(&path), bench.settings.connections, time);
    ask(WARM_UP)?;
    let load = ask(bench.settings.manifest_time)?;
    Ok([
        (Metric::RequestsPerSecond, load.requests as f64 / load.seconds),
        (Metric::MedianMilliseconds, load.p50),
        (Metric::P99Milliseconds, load.p99),
    ])
}
