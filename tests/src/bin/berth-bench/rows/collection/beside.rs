//! What clients notice of a cycle.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::super::{in_turn, settle};
use crate::Bench;
use crate::client::{swarm, with_body, with_digest};
use crate::content::{Blob, Random};
use crate::garbage::Garbage;
use crate::peers::{BERTH, Server};
use crate::results::{Metric, RowRun};
use crate::rows::manifests;

pub(crate) const GET: &str = "manifest GET";
pub(crate) const PUSH: &str = "push of a small blob";
/// The names under which the page has both.
pub(crate) const WITHOUT: &str = "berth, no collection";

/// Pushes at a time: more would fill the machine by themselves.
const CONNECTIONS: usize = 8;
/// Before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);

pub(super) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let settings = &bench.settings;
    let content = Garbage { blobs: settings.collected_blobs };
    let prepared = content.prepare(&bench.cache)?;
    run.setting(format!(
        "{GET}, {PUSH}: the same registry, with a cycle running all the time and without, {} rounds; GET as in the row of \
         manifests; pushes by POST and PUT of {} blobs of 4 KiB over {CONNECTIONS} connections, both requests together",
        settings.rounds, settings.small_blobs,
    ));
    let mut random = Random::new();
    let launches = [(BERTH, true), (WITHOUT, false)];
    let launch = super::launch(bench)?;
    launch.copy_database(&prepared)?;
    content.write_files(&launch.data())?;
    for round in 0..settings.rounds {
        for (name, always) in in_turn(&launches, round) {
            let launch = super::collecting(&launch, *always);
            let server = bench.berth()?.start(&launch)?;
            manifests::measure(bench, &server, &content.path(), WARM_UP)?;
            let time = settings.manifest_time;
            let values = manifests::measure(bench, &server, &content.path(), time)?;
            run.record(GET, name, round, &values);
            run.record(PUSH, name, round, &pushes(bench, &server, &mut random)?);
            server.stop()?;
        }
    }
    Ok(())
}

/// How long pushes take.
fn pushes(bench: &Bench, server: &Server, random: &mut Random) -> Result<Vec<(Metric, f64)>> {
    let blobs: Vec<Blob> = (0..bench.settings.small_blobs)
        .map(|_| Blob::random(random, bench.settings.small_blob))
        .collect();
    settle();
    let mut took = Vec::with_capacity(blobs.len());
    let mut waiting = blobs.iter();
    let mut current: Vec<Option<(&Blob, Instant)>> = vec![None; CONNECTIONS];
    let host = server.address;
    swarm(server.address, CONNECTIONS, |index, answer| {
        match (answer, current[index]) {
            (Some(answer), Some((blob, _))) if answer.head.status == 202 => {
                let path = with_digest(answer.head.location()?, &blob.digest);
                return Ok(Some(with_body("PUT", &host.to_string(), &path, &blob.bytes)));
            }
            (Some(answer), Some((_, start))) if answer.head.status == 201 => {
                took.push(start.elapsed().as_secs_f64() * 1e3);
            }
            (Some(answer), _) => bail!("a push was answered: {}", answer.head.status),
            (None, _) => {}
        }
        current[index] = waiting.next().map(|blob| (blob, Instant::now()));
        let path = "/v2/garbage/pushed/blobs/uploads/";
        Ok(current[index].map(|_| with_body("POST", &host.to_string(), path, &[])))
    })?;
    took.sort_unstable_by(f64::total_cmp);
    let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or_default();
    Ok(vec![(Metric::MedianMilliseconds, at(50)), (Metric::P99Milliseconds, at(99))])
}
