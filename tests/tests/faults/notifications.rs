//! Webhooks of a registry that is killed.

use anyhow::{Context as _, Result};
use berth_tests::content::Blob;
use berth_tests::receiver::Receiver;
use berth_tests::server::free_address;
use berth_tests::{Launch, Server};
use serde_json::Value;

use crate::client::Client;

const ENDPOINTS: &str = "REGISTRY_NOTIFICATIONS_ENDPOINTS";

fn push(server: &Server, numbers: std::ops::Range<u64>) -> Result<Vec<String>> {
    let push = |number| {
        let blob = Blob::random(number, 100);
        server.push_blob("app", &blob)?.expect(201)?;
        Ok(blob.digest)
    };
    numbers.map(push).collect()
}

/// What was pushed, each once, in the order that it was told of first.
fn told(events: &[Value]) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for event in events {
        let digest = event["target"]["digest"].as_str().context("a digest")?.to_owned();
        if !told.contains(&digest) {
            told.push(digest);
        }
    }
    Ok(told)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn what_was_pushed_while_a_webhook_was_down_is_told_after_a_kill() -> Result<()> {
    let (directory, address) = (tempfile::tempdir()?, free_address()?);
    let endpoint = format!("[{{name: hook, url: 'http://{address}/', backoff: 20ms}}]");
    let launch = Launch::filesystem(directory.path())?.env(ENDPOINTS, endpoint);
    let server = launch.start()?;
    let mut pushed = push(&server, 0..20)?;
    server.kill()?;
    let server = launch.start()?;
    pushed.extend(push(&server, 20..40)?);
    server.kill()?;

    let receiver = Receiver::at(address)?;
    let server = launch.start()?;
    let events = receiver.wait_for(40)?;
    // Nobody was told before, so nobody is told twice.
    assert_eq!(events.len(), 40);
    assert_eq!(told(&events)?, pushed);
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn kills_while_a_webhook_is_told_lose_nothing() -> Result<()> {
    let (directory, receiver) = (tempfile::tempdir()?, Receiver::start()?);
    let endpoint =
        format!("[{{name: hook, url: 'http://{}/', backoff: 20ms}}]", receiver.address());
    let launch = Launch::filesystem(directory.path())?.env(ENDPOINTS, endpoint);
    let mut pushed = Vec::new();
    for round in 0..5 {
        let server = launch.start()?;
        pushed.extend(push(&server, round * 20..(round + 1) * 20)?);
        server.kill()?;
    }
    let server = launch.start()?;
    berth_tests::wait::until("everything is told", || {
        Ok(told(&receiver.events())?.len() == pushed.len())
    })?;
    assert_eq!(told(&receiver.events())?, pushed);
    // At each kill one request may have been under way.
    assert!(receiver.events().len() <= pushed.len() + 5, "{} events", receiver.events().len());
    server.stop()
}
