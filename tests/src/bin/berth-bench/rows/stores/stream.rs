//! Blob GET from an S3 server where clients are not sent there.

use anyhow::Result;

use super::{Store, registries};
use crate::Bench;
use crate::client::{Limit, pull};
use crate::content::Content;
use crate::peers::Server;
use crate::procfs::own_cpu_seconds;
use crate::results::{Metric, RowRun};
use crate::rows::{Row, in_turn, settle, stop_all};
use crate::settings::{GIB, MIB};

pub(crate) const CASE: &str = "1 connection";

const REPOSITORY: &str = "bench/stream";

pub(in crate::rows) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    if !super::is_here(run) {
        return Ok(());
    }
    let settings = &bench.settings;
    run.setting(format!(
        "a blob of {} MiB over one connection, `storage.redirect.disable: true`, the store's files in the page cache, {} \
         rounds; the client discards with `recv(MSG_TRUNC)`, so it copies nothing",
        settings.blob / MIB,
        settings.blob_rounds,
    ));
    let mut content = Content::new(settings.blob);
    let path = format!("/v2/{REPOSITORY}/blobs/{}", content.digest);
    let store = Store::start(bench, Row::StoreStream)?;
    let start = |peer| store.registry(bench, peer, false);
    let servers: Vec<Server> = registries(bench).map(start).collect::<Result<_>>()?;
    for server in &servers {
        server.store_content(REPOSITORY, &mut content)?;
        pull(server.address, &path, 1, Limit::Bytes(settings.blob))?;
    }
    settle();
    for round in 0..settings.blob_rounds {
        for server in in_turn(&servers, round) {
            let values = measure(&store, server, &path, settings.blob)?;
            run.record(CASE, &server.name, round, &values);
        }
    }
    stop_all(servers)
}

fn measure(store: &Store, server: &Server, path: &str, blob: u64) -> Result<Vec<(Metric, f64)>> {
    let before = (server.cpu_seconds()?, store.group().cpu_seconds()?, own_cpu_seconds()?);
    let pulled = pull(server.address, path, 1, Limit::Bytes(blob))?;
    let after = (server.cpu_seconds()?, store.group().cpu_seconds()?, own_cpu_seconds()?);
    let gibibytes = pulled.bytes as f64 / GIB as f64;
    let mut values = vec![
        (Metric::MebibytesPerSecond, pulled.bytes as f64 / MIB as f64 / pulled.seconds),
        (Metric::StoreSecondsPerGibibyte, (after.1 - before.1) / gibibytes),
        (Metric::ClientSecondsPerGibibyte, (after.2 - before.2) / gibibytes),
    ];
    if let (Some(before), Some(after)) = (before.0, after.0) {
        values.push((Metric::ServerSecondsPerGibibyte, (after - before) / gibibytes));
    }
    Ok(values)
}
