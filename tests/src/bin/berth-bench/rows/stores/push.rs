//! Push of a large blob to an S3 server, and what of it reaches the store.

use anyhow::Result;

use super::{Store, registries};
use crate::Bench;
use crate::client::{Connection, push_content};
use crate::content::Content;
use crate::peers::Server;
use crate::results::{Metric, RowRun};
use crate::rows::{Row, in_turn, settle, stop_all};
use crate::settings::{GIB, MIB};

pub(crate) const TIMED: &str = "POST, streamed PATCH, PUT";
pub(crate) const COUNTED: &str = "counted at the store";

const REPOSITORY: &str = "bench/push";

pub(in crate::rows) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    if !super::is_here(run) {
        return Ok(());
    }
    let settings = &bench.settings;
    run.setting(format!(
        "{} MiB of fresh content over one connection, in the chunks of 32 KiB that Docker sends, {} rounds; `sync` before \
         each; then once more through a proxy that counts the requests and the bytes of their bodies, untimed; a copy is \
         a request that has the store write bytes that it has already",
        settings.blob / MIB,
        settings.rounds,
    ));
    let store = Store::start(bench, Row::StorePush)?;
    let start = |peer| store.registry(bench, peer, true);
    let servers: Vec<Server> = registries(bench).map(start).collect::<Result<_>>()?;
    for round in 0..settings.rounds {
        let mut content = Content::new(settings.blob);
        for server in in_turn(&servers, round) {
            let values = measure(&store, server, &mut content)?;
            run.record(TIMED, &server.name, round, &values);
        }
    }
    stop_all(servers)?;
    count(bench, &store, run)
}

fn measure(store: &Store, server: &Server, content: &mut Content) -> Result<Vec<(Metric, f64)>> {
    settle();
    let gibibytes = content.len as f64 / GIB as f64;
    let before = (server.cpu_seconds()?, store.group().cpu_seconds()?);
    let mut connection = Connection::open(server.address)?;
    let took = push_content(&mut connection, REPOSITORY, content)?;
    let after = (server.cpu_seconds()?, store.group().cpu_seconds()?);
    let mut values = vec![
        (Metric::Seconds, took.as_secs_f64()),
        (Metric::StoreSecondsPerGibibyte, (after.1 - before.1) / gibibytes),
    ];
    if let (Some(before), Some(after)) = (before.0, after.0) {
        values.push((Metric::ServerSecondsPerGibibyte, (after - before) / gibibytes));
    }
    Ok(values)
}

fn count(bench: &Bench, store: &Store, run: &mut RowRun) -> Result<()> {
    let mut content = Content::new(bench.settings.blob);
    for peer in registries(bench) {
        let (server, proxy) = store.registry_behind(bench, peer)?;
        proxy.clear();
        push_content(&mut Connection::open(server.address)?, REPOSITORY, &mut content)?;
        let requests = proxy.requests();
        let copies = requests.iter().filter(|seen| seen.copies).count();
        let values = [
            (Metric::StoreRequests, requests.len() as f64),
            (Metric::TimesTheBlob, proxy.bytes_up() as f64 / content.len as f64),
            (Metric::StoreCopies, copies as f64),
        ];
        run.record(COUNTED, &peer.name, 0, &values);
        server.stop()?;
    }
    Ok(())
}
