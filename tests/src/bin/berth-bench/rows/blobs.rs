//! Blob GET from the page cache.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use berth_oci::Digest;

use super::{Row, in_turn, settle, stop_all};
use crate::Bench;
use crate::client::{Limit, pull};
use crate::content::Content;
use crate::peers::{NGINX_CACHED, Server};
use crate::procfs::own_cpu_seconds;
use crate::results::{Metric, RowRun};
use crate::settings::{GIB, MIB};

const REPOSITORY: &str = "bench/blob";

/// The case of so many connections.
pub(crate) fn case(connections: usize) -> String {
    match connections {
        1 => "1 connection".to_owned(),
        more => format!("{more} connections"),
    }
}

pub(super) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let settings = &bench.settings;
    let moved: Vec<String> = settings
        .pulls
        .iter()
        .map(|(connections, bytes)| format!("{} MiB over {}", bytes / MIB, case(*connections)))
        .collect();
    run.setting(format!(
        "a blob of {} MiB, {}, {} rounds; all have the same file (hard links), so that all send the same pages; the client discards with `recv(MSG_TRUNC)`, so it copies nothing; it breaks off \
         when the bytes have come",
        settings.blob / MIB,
        moved.join(", "),
        settings.blob_rounds,
    ));
    let mut content = Content::new(settings.blob);
    let path = format!("/v2/{REPOSITORY}/blobs/{}", content.digest);
    // Whether nginx keeps the file open makes no difference to a transfer of this size.
    let servers = Row::Blobs.start(bench, |peer| peer.name != NGINX_CACHED)?;
    for server in &servers {
        server.store_content(REPOSITORY, &mut content)?;
        pull(server.address, &path, 1, Limit::Bytes(settings.blob))?;
    }
    share_pages(&servers, &content.digest)?;
    settle();
    for round in 0..settings.blob_rounds {
        for (connections, bytes) in settings.pulls {
            for server in in_turn(&servers, round) {
                let values = measure(server, &path, connections, bytes)?;
                run.record(&case(connections), &server.name, round, &values);
            }
        }
    }
    stop_all(servers)
}

/// Gives all of them the file of the first: how the kernel laid the pages of a file out makes a difference of a tenth,
/// and more rounds do not average it away.
fn share_pages(servers: &[Server], digest: &Digest) -> Result<()> {
    let files = servers.iter().filter_map(|server| server.blob_file(REPOSITORY, digest));
    let files: Vec<PathBuf> = files.collect();
    let Some((first, others)) = files.split_first() else { return Ok(()) };
    for other in others {
        let link = other.with_extension("shared");
        fs::hard_link(first, &link).and_then(|()| fs::rename(&link, other)).with_context(|| {
            format!("{} cannot be a link to {}", other.display(), first.display())
        })?;
    }
    Ok(())
}

fn measure(
    server: &Server,
    path: &str,
    connections: usize,
    bytes: u64,
) -> Result<Vec<(Metric, f64)>> {
    let client_before = own_cpu_seconds()?;
    let before = server.cpu_seconds()?;
    let pulled = pull(server.address, path, connections, Limit::Bytes(bytes))?;
    let after = server.cpu_seconds()?;
    let client = own_cpu_seconds()? - client_before;
    let gibibytes = pulled.bytes as f64 / GIB as f64;
    let mut values =
        vec![(Metric::MebibytesPerSecond, pulled.bytes as f64 / MIB as f64 / pulled.seconds)];
    if let (Some(before), Some(after)) = (before, after) {
        values.push((Metric::ServerSecondsPerGibibyte, (after - before) / gibibytes));
    }
    values.push((Metric::ClientSecondsPerGibibyte, client / gibibytes));
    Ok(values)
}
