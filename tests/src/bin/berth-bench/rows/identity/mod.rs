//! What it costs that requests say who they are from: a token with each request, and a crowd that logs
//! in beside them; and that what they are refused tells them nothing by its time.

pub(crate) mod refusals;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::{Row, in_turn};
use crate::Bench;
use crate::client::Connection;
use crate::content::Image;
use crate::load::{Target, wrk};
use crate::peers::{BERTH, Launch, Server};
use crate::results::{Metric, RowRun};

pub(crate) const TOKENS: &str = "manifest GET";
pub(crate) const CROWD: &str = "manifest GET beside logins";
/// The names under which the page has what is compared.
pub(crate) const ANONYMOUS: &str = "berth, anonymous";
pub(crate) const QUIET: &str = "berth, nobody logs in";

const REPOSITORY: &str = "bench/image";
/// Where the client may do nothing: a repository that is there, and one that is not.
const OTHERS: [&str; 2] = ["other/image", "other/imago"];
const USER: &str = "bench";
/// `bench`, by bcrypt at cost 10, more than `htpasswd -B` takes by itself.
const HASH: &str = "$2b$10$9ezPjpA6QmWt9egDgdsYfe42URWWvTG1oeGE294A4yn5lk/zw31U6";
/// How many log in at a time.
const LOGINS: usize = 100;
/// How often what is refused is asked for in a round.
const REFUSALS: usize = 5000;
/// Before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);

pub(super) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let settings = &bench.settings;
    run.setting(format!(
        "manifest GET by tag with wrk over {} kept connections for {} s, {} rounds: as anybody may who has not logged in, and \
         with a bearer token of Berth's own; then with a token while {LOGINS} clients log in all the time, each with the right \
         password of a file (bcrypt, cost 10), and while nobody does; last what is refused, asked for over one connection \
         in turn with what is absent, {REFUSALS} times each a round",
        settings.connections,
        settings.manifest_time.as_secs(),
        settings.rounds,
    ));
    let launch = Row::Identity.launch(bench, BERTH)?;
    let file = launch.folder.join("htpasswd");
    std::fs::create_dir_all(&launch.folder)?;
    std::fs::write(&file, format!("{USER}:{HASH}\n"))?;
    let launch = launch
        .set("REGISTRY_AUTH_HTPASSWD_PATH", &file.display().to_string())
        .set("REGISTRY_AUTH_TOKENS_LIFETIME", "1h")
        // What is measured is the time of a refusal, not how long one has to wait for another.
        .set("REGISTRY_AUTH_ATTEMPTS_ACCOUNT", "1000000")
        .set("REGISTRY_AUTH_ATTEMPTS_SOURCE", "1000000");
    let server = prepared(bench, &launch)?;
    let path = format!("/v2/{REPOSITORY}/manifests/latest");
    let token = log_in(&server)?;
    let authorization = format!("Authorization: Bearer {token}");
    let anonymous = Target::Path(&path);
    let with_token = Target::With { path: &path, header: &authorization };
    for target in [&anonymous, &with_token] {
        measure(bench, &server, target, WARM_UP)?;
    }
    let time = settings.manifest_time;
    let cases = [(BERTH, &with_token), (ANONYMOUS, &anonymous)];
    for round in 0..settings.rounds {
        for (name, target) in in_turn(&cases, round) {
            run.record(TOKENS, name, round, &measure(bench, &server, target, time)?);
        }
        for (name, crowd) in in_turn(&[(BERTH, true), (QUIET, false)], round) {
            let (values, logins) = beside(&server, if *crowd { LOGINS } else { 0 }, || {
                measure(bench, &server, &with_token, time)
            })?;
            run.record(CROWD, name, round, &values);
            if *crowd {
                run.note(format!("round {round}: {logins} logins in that time"));
            }
        }
        refusals::measure(run, &server, &token, OTHERS, REFUSALS, round)?;
    }
    server.stop()
}

/// A server with the images, whose store was filled while anybody could.
fn prepared(bench: &Bench, launch: &Launch) -> Result<Server> {
    let open = launch.clone().set("REGISTRY_AUTH_GRANTS", "['anyone writer **']");
    let server = bench.berth()?.start(&open)?;
    for repository in [REPOSITORY, OTHERS[0]] {
        server.store_image(repository, "latest", &Image::new())?;
    }
    server.stop()?;
    bench.berth()?.start(&launch.clone().set("REGISTRY_AUTH_GRANTS", "['anyone writer bench/**']"))
}

fn measure(
    bench: &Bench,
    server: &Server,
    target: &Target<'_>,
    time: Duration,
) -> Result<Vec<(Metric, f64)>> {
    let base = format!("http://{}", server.address);
    let load = wrk(&bench.work, &base, target, bench.settings.connections, time)?;
    Ok(vec![
        (Metric::RequestsPerSecond, load.requests as f64 / load.seconds),
        (Metric::MedianMilliseconds, load.p50),
        (Metric::P99Milliseconds, load.p99),
    ])
}

/// Does something while a crowd logs in, and counts the logins.
fn beside<T>(server: &Server, crowd: usize, work: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
    let (stop, logins) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let log_in_all_the_time = || -> Result<()> {
            while !stop.load(Ordering::Relaxed) {
                log_in(server)?;
                logins.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let clients: Vec<_> = (0..crowd).map(|_| scope.spawn(log_in_all_the_time)).collect();
        let done = work();
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        Ok((done?, logins.load(Ordering::Relaxed)))
    })
}

/// What `docker login` asks: a token for the name and the password. It is asked by the form, whose
/// answers are remembered by nobody, so that each takes the time of a hash.
fn log_in(server: &Server) -> Result<String> {
    let body = format!(
        "grant_type=password&username={USER}&password={USER}&client_id=bench\
         &scope=repository:{REPOSITORY}:pull"
    );
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let mut connection = Connection::open(server.address)?;
    let answer = connection.exchange("POST", "/token", &headers, body.as_bytes())?.expect(200)?;
    let json: serde_json::Value = serde_json::from_slice(&answer.body)?;
    let token = json["token"].as_str().context("no token")?.to_owned();
    ensure!(!token.is_empty());
    Ok(token)
}
