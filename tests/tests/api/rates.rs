//! How much one caller, or one repository, may take.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use berth_tests::content::Blob;
use berth_tests::wait;
use berth_tests::wire::{Answer, get, patch, post};

use crate::api::Api;

fn too_many(answer: &Answer) -> Result<()> {
    ensure!(answer.status == 429, "{answer:?}");
    let wait: u64 = answer.header("retry-after")?.parse()?;
    ensure!((1..=60).contains(&wait), "{wait}");
    ensure!(answer.json()?["errors"][0]["code"] == "TOOMANYREQUESTS", "{answer:?}");
    Ok(())
}

#[test]
fn requests_of_a_caller_beyond_the_burst_are_told_to_come_again() -> Result<()> {
    let api = Api::in_memory(&[
        ("REGISTRY_HTTP_LIMITS_CALLER", "{requests: 1, burst: 3}"),
        ("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]"),
    ])?;
    let ask = |client: &str| api.send(&get("/v2/").header("X-Forwarded-For", client));
    let answers = (0..10).map(|_| ask("1.2.3.4")).collect::<Result<Vec<_>>>()?;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    ensure!(answers[..3].iter().all(|answer| answer.status == 200) && !refused.is_empty());
    too_many(refused[0])?;
    // Others have their own, and operators are not counted.
    ask("5.6.7.8")?.expect(200)?;
    api.get("/healthz")?.expect(200)?;
    Ok(())
}

#[test]
fn uploads_at_a_time_are_limited() -> Result<()> {
    let api = Api::on_files(&[("REGISTRY_HTTP_LIMITS_REPOSITORY", "{uploads: 1}")])?;
    let (first, second) = (api.begin("team/app")?, api.begin("team/app")?);
    // The first stands in the middle of its body.
    let mut slow = api.connect()?;
    let request = patch(&first).header("Content-Length", 10);
    slow.write(&request.head())?;
    slow.write(b"12345")?;
    wait::until("the change is seen", || Ok(api.received_bytes()? >= 5.0))?;
    let refused = || api.send(&patch(&second).body("x"));
    too_many(&refused()?)?;
    api.begin("team/other")?;
    slow.write(b"67890")?;
    ensure!(slow.answer(false)?.status == 202);
    wait::until("the change is seen", || Ok(refused()?.status == 202))?;
    Ok(())
}

#[test]
fn bytes_beyond_the_bandwidth_wait() -> Result<()> {
    let blob = Blob::random(1, 3 << 20);
    let api = Api::on_files(&[("REGISTRY_HTTP_LIMITS_CALLER", "{bandwidth: 1MiB}")])?;
    // A second's worth may come at once, and each second brings as much.
    let least = Duration::from_millis(1500);
    let start = Instant::now();
    api.push_blob("team/app", &blob)?;
    ensure!(start.elapsed() > least, "pushed in {:?}", start.elapsed());
    let start = Instant::now();
    api.expect_blob("team/app", &blob)?;
    ensure!(start.elapsed() > least, "pulled in {:?}", start.elapsed());
    let part = get(format!("/v2/team/app/blobs/{}", blob.digest)).header("Range", "bytes=0-9");
    let answer = api.send(&part)?.expect(206)?;
    ensure!(answer.body == blob.bytes[..10], "{answer:?}");
    api.send(&post("/v2/team/app/blobs/uploads/"))?.expect(202)?;
    Ok(())
}
