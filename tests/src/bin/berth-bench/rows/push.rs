//! Push of a large blob, beside what the hash and the disk alone take.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::{Row, in_turn, settle, stop_all};
use crate::Bench;
use crate::client::{Connection, push_content};
use crate::content::Content;
use crate::peers::Server;
use crate::results::{Metric, RowRun};
use crate::settings::MIB;

pub(crate) const CASE: &str = "POST, streamed PATCH, PUT";
pub(crate) const HASH: &str = "openssl speed sha256";
pub(crate) const DISK: &str = "dd conv=fsync";

const REPOSITORY: &str = "bench/push";

pub(super) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let settings = &bench.settings;
    run.setting(format!(
        "{} MiB of fresh content over one connection, in the chunks of 32 KiB that Docker sends, {} rounds; `sync` before \
         each; the floor of a round is the slower of `openssl speed -evp sha256` at 64 KiB and `dd bs=1M conv=fsync`, \
         both measured in that round on the same disk",
        settings.blob / MIB,
        settings.rounds,
    ));
    let servers = Row::Push.start(bench, |peer| peer.is_registry())?;
    for round in 0..settings.rounds {
        let mut content = Content::new(settings.blob);
        let hash = hash_seconds(settings.blob)?;
        run.record(CASE, HASH, round, &[(Metric::Seconds, hash)]);
        let disk = disk_seconds(bench)?;
        run.record(CASE, DISK, round, &[(Metric::Seconds, disk)]);
        let floor = hash.max(disk);
        for server in in_turn(&servers, round) {
            let seconds = measure(server, &mut content)?;
            let values = [(Metric::Seconds, seconds), (Metric::TimesTheFloor, seconds / floor)];
            run.record(CASE, &server.name, round, &values);
        }
    }
    stop_all(servers)
}

fn measure(server: &Server, content: &mut Content) -> Result<f64> {
    settle();
    let mut connection = Connection::open(server.address)?;
    Ok(push_content(&mut connection, REPOSITORY, content)?.as_secs_f64())
}

/// How long openssl takes to hash so many bytes on one core.
fn hash_seconds(bytes: u64) -> Result<f64> {
    let output = Command::new("openssl")
        .args(["speed", "-seconds", "2", "-bytes", "65536", "-mr", "-evp", "sha256"])
        .output()
        .context("cannot start openssl")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = parse_rate(&text).with_context(|| format!("openssl speed: {text}"))?;
    Ok(bytes as f64 / rate)
}

/// Bytes a second, from a line like `+F:22:sha256:1999765504.00`.
fn parse_rate(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with("+F:"))?;
    line.rsplit(':').next()?.parse().ok()
}

/// How long it takes to write so many bytes and to have them on the disk.
fn disk_seconds(bench: &Bench) -> Result<f64> {
    let path = bench.work.join("written");
    settle();
    let start = Instant::now();
    let status = Command::new("dd")
        .args(["if=/dev/zero", "bs=1M", "conv=fsync", "status=none"])
        .arg(format!("count={}", bench.settings.blob / MIB))
        .arg(format!("of={}", path.display()))
        .status()
        .context("cannot start dd")?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(status.success(), "dd ended with {status}");
    fs::remove_file(path)?;
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_in_the_line_for_machines() {
        assert_eq!(parse_rate("+H:65536\n+F:22:sha256:1999765504.00\n"), Some(1_999_765_504.0));
        assert_eq!(parse_rate("error"), None);
    }
}
