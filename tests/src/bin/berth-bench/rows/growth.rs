//! Whether a registry with many tags is as fast as one with few.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Row;
use crate::Bench;
use crate::client::Connection;
use crate::content::Random;
use crate::load::{Load, Target, wrk};
use crate::million::{Shape, TEMPLATE};
use crate::peers::{BERTH, Launch, Peer, Server};
use crate::results::{Metric, RowRun, Spread};

/// How many tags are asked for where the cache should hold them.
const HOT: u32 = 1_000;
/// The repositories that listings are taken from, one after the other.
const LISTED: usize = 50;
const PAGE: usize = 100;
/// Fewer than the smallest registry of many repositories has: the same work in all of them, with
/// word of a next page.
const CATALOG: usize = 50;
/// Before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);

/// What is asked for, in the words of the page.
pub(crate) const HOT_TAGS: &str = "manifest, the same 1,000 tags";
pub(crate) const ANY_TAG: &str = "manifest, any tag";
pub(crate) const NO_CACHE: &str = "manifest, any tag, cache off";
pub(crate) const TAG_PAGE: &str = "first page of tags";
pub(crate) const CATALOG_PAGE: &str = "first page of the catalog";

/// The registries that are compared: few and many tags in one repository, then over many.
pub(crate) fn shapes([few, many]: [u32; 2], each: u32) -> [[Shape; 2]; 2] {
    [
        [Shape { tags: few, each: few }, Shape { tags: many, each: many }],
        [Shape { tags: few, each }, Shape { tags: many, each }],
    ]
}

/// The name of a registry where peers stand otherwise.
pub(crate) fn name(shape: Shape) -> String {
    match shape.repositories() {
        1 => format!("{} tags, 1 repository", shape.tags),
        many => format!("{} tags, {many} repositories", shape.tags),
    }
}

pub(super) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let settings = &bench.settings;
    run.setting(format!(
        "berth alone, each tag with a manifest of its own; wrk with {} connections for {} s, {} rounds, a tag at random \
         for each request; the databases are in the page cache; `cache off` is `metadata.sqlite.cachesize: 0`, so each answer comes from SQLite; listings: {} \
         a round, one after the other on one connection, `n={PAGE}` of tags and `n={CATALOG}` of the catalog",
        settings.connections,
        settings.growth_time.as_secs(),
        settings.growth_rounds,
        settings.listings,
    ));
    let berth = bench.berth()?;
    let shapes: Vec<Shape> = shapes(settings.tags, settings.tags_each).concat();
    for shape in &shapes {
        read_whole(&shape.prepare(&bench.cache)?)?;
    }
    for round in 0..settings.growth_rounds {
        for shape in super::in_turn(&shapes, round) {
            measure(bench, run, berth, *shape, round)?;
        }
    }
    Ok(())
}

/// Has the files of a folder in the page cache, where those of a registry at work are.
fn read_whole(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            io::copy(&mut File::open(path)?, &mut io::sink())?;
        }
    }
    Ok(())
}

fn measure(
    bench: &Bench,
    run: &mut RowRun,
    berth: &Peer,
    shape: Shape,
    round: usize,
) -> Result<()> {
    let name = name(shape);
    let data = shape.prepare(&bench.cache)?;
    let launch = Row::Growth.launch(bench, BERTH)?.on(&data);
    let server = berth.start(&launch)?;
    for (case, asked) in [(HOT_TAGS, HOT.min(shape.tags)), (ANY_TAG, shape.tags)] {
        run.record(case, &name, round, &manifests(bench, &server, shape, asked)?);
    }
    let tags = |repository: u32| format!("/v2/{}/tags/list?n={PAGE}", shape.repository(repository));
    let mut random = Random::new();
    let some: Vec<String> = (0..LISTED)
        .map(|_| tags((random.next() % u64::from(shape.repositories())) as u32))
        .collect();
    run.record(TAG_PAGE, &name, round, &listings(&server, &some, bench.settings.listings)?);
    let catalog = [format!("/v2/_catalog?n={CATALOG}")];
    run.record(CATALOG_PAGE, &name, round, &listings(&server, &catalog, bench.settings.listings)?);
    server.stop()?;
    uncached(bench, run, berth, shape, round, &launch)
}

fn uncached(
    bench: &Bench,
    run: &mut RowRun,
    berth: &Peer,
    shape: Shape,
    round: usize,
    launch: &Launch,
) -> Result<()> {
    let launch = launch.clone().set("REGISTRY_METADATA_SQLITE_CACHESIZE", "0");
    let server = berth.start(&launch)?;
    run.record(NO_CACHE, &name(shape), round, &manifests(bench, &server, shape, shape.tags)?);
    server.stop()
}

fn manifests(
    bench: &Bench,
    server: &Server,
    shape: Shape,
    asked: u32,
) -> Result<Vec<(Metric, f64)>> {
    let base = format!("http://{}", server.address);
    let target = Target::Tags { template: TEMPLATE, count: shape.tags, each: shape.each, asked };
    let ask = |time| wrk(&bench.work, &base, &target, bench.settings.connections, time);
    ask(WARM_UP)?;
    let before = server.cpu_seconds()?;
    let Load { requests, seconds, p50, p99, .. } = ask(bench.settings.growth_time)?;
    let mut values = vec![
        (Metric::RequestsPerSecond, requests as f64 / seconds),
        (Metric::MedianMilliseconds, p50),
        (Metric::P99Milliseconds, p99),
    ];
    if let (Some(before), Some(after)) = (before, server.cpu_seconds()?) {
        let each = (after - before) * 1e6 / requests as f64;
        values.push((Metric::ServerMicrosecondsPerRequest, each));
    }
    Ok(values)
}

/// The latency of listings, in turn.
pub(super) fn listings(
    server: &Server,
    paths: &[String],
    count: usize,
) -> Result<Vec<(Metric, f64)>> {
    let mut connection = Connection::open(server.address)?;
    for path in paths {
        connection.get(path)?.expect(200)?;
    }
    let mut took = Vec::with_capacity(count);
    for path in paths.iter().cycle().take(count) {
        let start = Instant::now();
        connection.get(path)?.expect(200)?;
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_unstable_by(f64::total_cmp);
    let p99 = took.get((took.len() * 99 / 100).min(took.len().saturating_sub(1)));
    let median = Spread::of(took.iter().copied()).context("no listing was taken")?.median;
    Ok(vec![
        (Metric::MedianMilliseconds, median),
        (Metric::P99Milliseconds, p99.copied().unwrap_or(median)),
    ])
}
