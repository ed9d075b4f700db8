//! Blob GET over TLS, from the page cache.

use anyhow::{Result, ensure};
use berth_test_stores::Certificate;

use super::blobs::case;
use super::{Row, in_turn, settle, stop_all};
use crate::Bench;
use crate::client::TlsClient;
use crate::content::Content;
use crate::peers::{BERTH, DISTRIBUTION_3, NGINX, Server};
use crate::procfs::own_cpu_seconds;
use crate::results::{Metric, RowRun};
use crate::settings::{GIB, MIB};

const REPOSITORY: &str = "bench/blob";

pub(super) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let settings = &bench.settings;
    let moved: Vec<String> = settings
        .tls_pulls
        .iter()
        .map(|(connections, bytes)| format!("{} MiB over {}", bytes / MIB, case(*connections)))
        .collect();
    run.setting(format!(
        "a blob of {} MiB over HTTP/1.1 and TLS 1.3 with AES-128-GCM, {}, {} rounds; it was read and compared once; then the \
         client shakes hands, asks, and discards with `recv(MSG_TRUNC)`: it deciphers nothing",
        settings.blob / MIB,
        moved.join(", "),
        settings.rounds,
    ));
    let certificate = Certificate::new()?;
    let client = TlsClient::new(&certificate)?;
    let mut content = Content::new(settings.blob);
    let path = format!("/v2/{REPOSITORY}/blobs/{}", content.digest);
    let mut servers = Vec::new();
    let wanted = [BERTH, DISTRIBUTION_3, NGINX];
    for peer in bench.peers.iter().filter(|peer| wanted.contains(&peer.name.as_str())) {
        let launch = Row::Tls.launch(bench, &peer.name)?;
        let plain = peer.start(&launch)?;
        plain.store_content(REPOSITORY, &mut content)?;
        plain.stop()?;
        let server = peer.start(&launch.over_tls(&certificate))?;
        let found = client.digest(server.address, &path)?;
        ensure!(found == content.digest.to_string(), "{} gives {found}", server.name);
        servers.push(server);
    }
    settle();
    for round in 0..settings.rounds {
        for (connections, bytes) in settings.tls_pulls {
            for server in in_turn(&servers, round) {
                let values = measure(&client, server, &path, connections, bytes)?;
                run.record(&case(connections), &server.name, round, &values);
            }
        }
    }
    stop_all(servers)
}

fn measure(
    client: &TlsClient,
    server: &Server,
    path: &str,
    connections: usize,
    bytes: u64,
) -> Result<Vec<(Metric, f64)>> {
    let client_before = own_cpu_seconds()?;
    let before = server.cpu_seconds()?;
    let pulled = client.pull(server.address, path, connections, bytes)?;
    let after = server.cpu_seconds()?;
    let used = own_cpu_seconds()? - client_before;
    let gibibytes = pulled.bytes as f64 / GIB as f64;
    let mut values =
        vec![(Metric::MebibytesPerSecond, pulled.bytes as f64 / MIB as f64 / pulled.seconds)];
    if let (Some(before), Some(after)) = (before, after) {
        values.push((Metric::ServerSecondsPerGibibyte, (after - before) / gibibytes));
    }
    values.push((Metric::ClientSecondsPerGibibyte, used / gibibytes));
    Ok(values)
}
