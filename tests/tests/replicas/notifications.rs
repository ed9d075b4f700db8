//! Webhooks of several replicas: whoever takes a request, one of them tells of it.

use anyhow::{Context as _, Result, ensure};
use berth_tests::content::Blob;
use berth_tests::receiver::{Answer, Receiver};
use berth_tests::wait;
use berth_tests::wire::{self, post};
use serde_json::Value;

use crate::database;
use crate::group::{Blobs, Replicas};

const ENDPOINTS: &str = "REGISTRY_NOTIFICATIONS_ENDPOINTS";

fn push(replicas: &Replicas, replica: usize, number: u64) -> Result<String> {
    let blob = Blob::random(number, 100);
    let target = format!("/v2/app/blobs/uploads/?digest={}", blob.digest);
    wire::send(replicas.addresses()[replica], &post(target).body(&*blob.bytes))?.expect(201)?;
    Ok(blob.digest)
}

fn digests(events: &[Value]) -> Result<Vec<String>> {
    let digest = |event: &Value| event["target"]["digest"].as_str().map(str::to_owned);
    events.iter().map(|event| digest(event).context("a digest")).collect()
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn each_event_of_every_replica_is_told_once_and_in_order() -> Result<()> {
    let receiver = Receiver::start()?;
    let endpoint = format!("[{{name: hook, url: 'http://{}/'}}]", receiver.address());
    let blobs = Blobs::in_a_folder()?;
    let launch = blobs.with(&database::shared()?.database()?).env(ENDPOINTS, endpoint);
    let replicas = Replicas::start(&launch, 7)?;
    let pushed = (0..60)
        .map(|number| push(&replicas, number % replicas.addresses().len(), number as u64))
        .collect::<Result<Vec<_>>>()?;

    let events = receiver.wait_for(pushed.len())?;

    assert_eq!(digests(&events)?, pushed);
    let mut sources: Vec<_> =
        events.iter().map(|event| event["source"]["instanceID"].to_string()).collect();
    sources.sort();
    sources.dedup();
    assert_eq!(sources.len(), replicas.addresses().len(), "each event names who made it");
    replicas.stop()?;
    assert_eq!(receiver.events().len(), pushed.len());
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn another_replica_goes_on_when_the_one_that_tells_dies() -> Result<()> {
    let receiver = Receiver::start()?;
    receiver.answer(Answer::Held);
    let endpoint = format!("[{{name: hook, url: 'http://{}/', timeout: 1h}}]", receiver.address());
    let blobs = Blobs::in_a_folder()?;
    let launch = blobs.with(&database::shared()?.database()?).env(ENDPOINTS, endpoint);
    let mut replicas = Replicas::start(&launch, 8)?;
    let mut pushed = vec![push(&replicas, 0, 0)?];
    // Whoever was pushed to takes up the telling, and waits for the answer from now on.
    receiver.wait_for_requests(1)?;
    for number in 1..10 {
        pushed.push(push(&replicas, 1, number)?);
    }
    ensure!(receiver.requests().len() == 1, "one replica tells at a time");
    replicas.kill(0)?;
    receiver.answer(Answer::Status(200));
    let all = || {
        let mut told = digests(&receiver.events())?;
        // The request of the dead one was taken, and comes again.
        told.dedup();
        Ok(told == pushed)
    };
    wait::until("the others tell the rest", all)?;
    replicas.restart(0)?;
    replicas.stop()
}
