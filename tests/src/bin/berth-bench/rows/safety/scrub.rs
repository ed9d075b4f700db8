//! Reading all stored bytes again: how fast, and who notices.

use anyhow::Result;

use crate::Bench;
use crate::client::{Limit, pull};
use crate::content::{Content, Image};
use crate::peers::{BERTH, Launch, Server};
use crate::results::{Metric, RowRun};
use crate::rows::{Row, command, in_turn, manifests, settle};
use crate::settings::MIB;

pub(crate) const ONCE: &str = "berth scrub --once";
pub(crate) const GET: &str = "manifest GET";
pub(crate) const BLOB: &str = "blob GET";
pub(crate) const WITHOUT: &str = "berth, no scrub";

const REPOSITORY: &str = "bench/scrub";
/// Connections that pull beside it.
const PULLS: usize = 8;

pub(crate) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let settings = &bench.settings;
    let (count, size) = (settings.scrubbed_blobs, settings.scrubbed_blob);
    run.setting(format!(
        "{ONCE}: {count} blobs of {} MiB in files, no limit of the rate; {GET}, {BLOB}: with a scrub going on all the time \
         at its default rate, and without, {} rounds; {BLOB} over {PULLS} connections",
        size / MIB,
        settings.rounds,
    ));
    let launch = Row::Scrub.launch(bench, BERTH)?;
    let server = bench.berth()?.start(&launch)?;
    let mut blobs: Vec<Content> = (0..count).map(|_| Content::new(size)).collect();
    for blob in &mut blobs {
        server.store_content(REPOSITORY, blob)?;
    }
    let image = Image::new();
    server.store_image(REPOSITORY, "latest", &image)?;
    server.stop()?;
    settle();
    for round in 0..settings.rounds {
        let took =
            command::measure(bench.berth()?.tool(&launch, &["scrub", "--once", "--quiet"])?)?;
        let seconds = took.iter().find(|(metric, _)| *metric == Metric::Seconds);
        let seconds = seconds.map_or(f64::NAN, |(_, seconds)| *seconds);
        let rate = (count as u64 * size / MIB) as f64 / seconds;
        run.record(ONCE, BERTH, round, &[(Metric::MebibytesPerSecond, rate)]);
    }
    let path = blobs.first().map(|blob| format!("/v2/{REPOSITORY}/blobs/{}", blob.digest));
    beside(bench, run, &launch, &path.unwrap_or_default())
}

fn beside(bench: &Bench, run: &mut RowRun, launch: &Launch, blob: &str) -> Result<()> {
    let settings = &bench.settings;
    let always = launch
        .clone()
        .set("REGISTRY_STORAGE_SCRUB_PAUSE", "1ms")
        .set("REGISTRY_STORAGE_SCRUB_PERIOD", "1ms");
    let never = launch.clone().set("REGISTRY_STORAGE_SCRUB_ENABLED", "false");
    let launches = [(BERTH, always), (WITHOUT, never)];
    for round in 0..settings.rounds {
        for (name, launch) in in_turn(&launches, round) {
            let server: Server = bench.berth()?.start(launch)?;
            let manifest = format!("/v2/{REPOSITORY}/manifests/latest");
            let values = manifests::measure(bench, &server, &manifest, settings.manifest_time)?;
            run.record(GET, name, round, &values);
            let (_, bytes) = settings.pulls[1];
            let pulled = pull(server.address, blob, PULLS, Limit::Bytes(bytes))?;
            let rate = pulled.bytes as f64 / MIB as f64 / pulled.seconds;
            run.record(BLOB, name, round, &[(Metric::MebibytesPerSecond, rate)]);
            server.stop()?;
        }
    }
    Ok(())
}
