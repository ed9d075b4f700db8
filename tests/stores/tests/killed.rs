//! What a killed test leaves behind: nothing.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use berth_test_stores::{Postgres, VersityGateway};

const VICTIM: &str = "BERTH_STORES_VICTIM";
const ADDRESS: &str = "the server is at http://";

#[test]
fn a_server_ends_with_a_process_that_is_killed() {
    ends_with_its_process("a_server_ends_with_a_process_that_is_killed", || {
        let server = VersityGateway::start().unwrap();
        (server.access().endpoint.clone(), server)
    });
}

#[test]
fn so_does_one_that_does_not_run_as_root() {
    ends_with_its_process("so_does_one_that_does_not_run_as_root", || {
        let server = Postgres::options().fsync(false).start().unwrap();
        (format!("http://127.0.0.1:{}", server.port()), server)
    });
}

/// Runs the test of this name in a process of its own, where it starts the server, and kills that.
fn ends_with_its_process<S>(name: &str, start: fn() -> (String, S)) {
    if env::var_os(VICTIM).is_some() {
        let (address, _server) = start();
        println!("\nthe server is at {address}");
        loop {
            thread::park();
        }
    }
    let mut victim = Command::new(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let address = lines.map(Result::unwrap).find_map(|line| {
        let address = line.strip_prefix(ADDRESS)?;
        Some(address.to_owned())
    });
    let address = address.expect("the victim ended before it was killed");
    assert!(TcpStream::connect(&address).is_ok());
    victim.kill().unwrap();
    victim.wait().unwrap();
    let start = Instant::now();
    while TcpStream::connect(&address).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(20), "the server outlives its test");
        thread::sleep(Duration::from_millis(10));
    }
}
