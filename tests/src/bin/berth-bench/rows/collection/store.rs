//! Deleting objects from an S3 server.

use std::time::Instant;

use anyhow::{Result, bail};

use super::super::stores::{Store, is_here};
use crate::Bench;
use crate::client::{swarm, with_body};
use crate::content::{Blob, Random};
use crate::peers::{BERTH, Bucket, Server};
use crate::results::{Metric, RowRun};
use crate::rows::Row;
use crate::settings::KIB;

pub(crate) const CASE: &str = "S3, deletion of objects";

pub(super) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    if !is_here(run) {
        return Ok(());
    }
    let count = bench.settings.objects;
    run.setting(format!(
        "{CASE}: {count} blobs of 1 KiB, pushed and needed by nothing; `berth garbage-collect` from its start to its end"
    ));
    let store = Store::start(bench, Row::Collection)?;
    let access = store.access().clone();
    let launch = super::collecting(&super::launch(bench)?, false)
        .in_bucket(Bucket { access, redirect: true });
    let server = bench.berth()?.start(&launch)?;
    push(bench, &server, count)?;
    // Until the leases of the last ones are over.
    std::thread::sleep(super::LEASE + super::LEASE);
    let start = Instant::now();
    super::collect(bench, &launch)?;
    let rate = count as f64 / start.elapsed().as_secs_f64();
    run.record(CASE, BERTH, 0, &[(Metric::ObjectsPerSecond, rate)]);
    server.stop()
}

fn push(bench: &Bench, server: &Server, count: usize) -> Result<()> {
    let mut random = Random::new();
    let mut left = count;
    let host = server.address.to_string();
    swarm(server.address, bench.settings.connections, |_, answer| {
        match answer {
            Some(answer) if answer.head.status != 201 => {
                bail!("a push was answered: {}", answer.head.status)
            }
            _ => {}
        }
        if left == 0 {
            return Ok(None);
        }
        left -= 1;
        let blob = Blob::random(&mut random, KIB);
        let path = format!("/v2/bench/objects/blobs/uploads/?digest={}", blob.digest);
        Ok(Some(with_body("POST", &host, &path, &blob.bytes)))
    })
}
