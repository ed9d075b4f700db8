//! Ten thousand connections that do nothing.

use std::fs;
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use berth_tests::{Launch, Server, wait};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::Client;

const CROWD: usize = 10_000;

#[test]
#[ignore = "run by cargo xtask faults"]
fn ten_thousand_idle_connections_keep_nobody_from_working() -> Result<()> {
    allow_open_files(CROWD as u64 + 1000)?;
    let server = Launch::temporary()?.start()?;
    server.push_image("app", "1", 1)?;
    let alone = resident_mebibytes(&server)?;
    let crowd: Vec<TcpStream> = (0..CROWD)
        .map(|number| {
            TcpStream::connect(server.address())
                .with_context(|| format!("connection {number} was refused"))
        })
        .collect::<Result<_>>()?;
    let connections = || server.metric("berth_http_connections");
    wait::until("all are served", || Ok(connections()? > CROWD as f64))?;

    server.push_image("app", "2", 2)?;
    server.registry().verify("app", "1")?;
    server.registry().verify("app", "2")?;
    let crowded = resident_mebibytes(&server)?;
    println!("{alone} MiB alone, {crowded} MiB with {CROWD} connections");
    ensure!(crowded < 200, "{crowded} MiB for idle connections");

    drop(crowd);
    // The one that asks, and one that the reader of images keeps.
    wait::until("all are gone", || Ok(connections()? <= 2.0))?;
    server.push_image("app", "3", 3)?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_registry_that_nobody_asks_gives_back_what_its_start_has_needed() -> Result<()> {
    let server = Server::start()?;
    let peak = mebibytes(&server, "VmHWM:")?;
    wait::until(
        "two thirds are enough for it",
        || Ok(resident_mebibytes(&server)? * 3 < peak * 2),
    )?;
    server.stop()
}

fn allow_open_files(count: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= count);
    let maximum = if enough(limit.maximum) { limit.maximum } else { Some(count) };
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .with_context(|| format!("{count} open files are not allowed here: ulimit -Hn"))
}

fn resident_mebibytes(server: &Server) -> Result<u64> {
    mebibytes(server, "VmRSS:")
}

/// What the kernel says of its memory.
fn mebibytes(server: &Server, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}
