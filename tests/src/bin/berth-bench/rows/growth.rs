//! Whether a registry with many tags is as fast as one with few.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::{Row, in_turn, stop_all};
use crate::Bench;
use crate::client::Connection;
use crate::content::Random;
use crate::load::{Load, Target, wrk};
use crate::million::{Shape, TEMPLATE};
use crate::peers::Server;
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
        "berth alone, each tag with a manifest of its own; all registries side by side, asked in short turns; wrk with {} \
         connections for {} s, {} turns, a tag at random for each request; the databases are in the page cache; `cache off` \
         is `metadata.sqlite.cachesize: 0`, so each answer comes from SQLite; listings: {} a turn, one after the other on \
         one connection, `n={PAGE}` of tags and `n={CATALOG}` of the catalog; no scrub and no backup",
        settings.connections,
        settings.growth_time.as_secs(),
        settings.growth_rounds,
        settings.listings,
    ));
    let shapes: Vec<Shape> = shapes(settings.tags, settings.tags_each).concat();
    for shape in &shapes {
        read_whole(&shape.prepare(&bench.cache)?)?;
    }
    let start = |cache| -> Result<Vec<Registry>> {
        shapes.iter().map(|shape| Registry::start(bench, *shape, cache)).collect()
    };
    let registries = start(Cache::Default)?;
    ask_for_manifests(bench, run, &registries, (HOT_TAGS, HOT))?;
    ask_for_manifests(bench, run, &registries, (ANY_TAG, u32::MAX))?;
    ask_for_listings(bench, run, &registries)?;
    stop_registries(registries)?;
    let registries = start(Cache::Off)?;
    ask_for_manifests(bench, run, &registries, (NO_CACHE, u32::MAX))?;
    stop_registries(registries)
}

/// Whether the registries remember manifests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cache {
    Default,
    Off,
}

/// A registry of a shape at work.
struct Registry {
    shape: Shape,
    name: String,
    server: Server,
    /// Listings of tags that are asked for.
    tags: Vec<String>,
}

impl Registry {
    fn start(bench: &Bench, shape: Shape, cache: Cache) -> Result<Self> {
        let data = shape.prepare(&bench.cache)?;
        let name = name(shape);
        let mut launch = Row::Growth.launch(bench, &name)?.on(&data);
        // Upkeep has rows of its own. Here it would find that no link file of a prepared database is there, and write
        // all of them.
        for upkeep in ["SCRUB", "BACKUP"] {
            launch = launch.set(&format!("REGISTRY_STORAGE_{upkeep}_ENABLED"), "false");
        }
        if cache == Cache::Off {
            launch = launch.set("REGISTRY_METADATA_SQLITE_CACHESIZE", "0");
        }
        let mut random = Random::new();
        let mut page = || {
            let repository = (random.next() % u64::from(shape.repositories())) as u32;
            format!("/v2/{}/tags/list?n={PAGE}", shape.repository(repository))
        };
        let tags = (0..LISTED).map(|_| page()).collect();
        Ok(Self { shape, name, server: bench.berth()?.start(&launch)?, tags })
    }
}

/// The machine is not the same from one minute to the next: registries that are compared are asked within seconds.
fn ask_for_manifests(
    bench: &Bench,
    run: &mut RowRun,
    registries: &[Registry],
    (case, most): (&str, u32),
) -> Result<()> {
    for registry in registries {
        ask(bench, registry, most, WARM_UP)?;
    }
    for round in 0..bench.settings.growth_rounds {
        for registry in in_turn(registries, round) {
            run.record(case, &registry.name, round, &manifests(bench, registry, most)?);
        }
    }
    Ok(())
}

fn ask_for_listings(bench: &Bench, run: &mut RowRun, registries: &[Registry]) -> Result<()> {
    let catalog = [format!("/v2/_catalog?n={CATALOG}")];
    let count = bench.settings.listings;
    for round in 0..bench.settings.growth_rounds {
        for Registry { server, name, tags, .. } in in_turn(registries, round) {
            run.record(TAG_PAGE, name, round, &listings(server, tags, count)?);
            run.record(CATALOG_PAGE, name, round, &listings(server, &catalog, count)?);
        }
    }
    Ok(())
}

fn stop_registries(registries: Vec<Registry>) -> Result<()> {
    stop_all(registries.into_iter().map(|registry| registry.server).collect())
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

/// Manifests of so many of a registry's tags.
fn ask(bench: &Bench, registry: &Registry, most: u32, time: Duration) -> Result<Load> {
    let Shape { tags, each } = registry.shape;
    let target = Target::Tags { template: TEMPLATE, count: tags, each, asked: most.min(tags) };
    let base = format!("http://{}", registry.server.address);
    wrk(&bench.work, &base, &target, bench.settings.connections, time)
}

fn manifests(bench: &Bench, registry: &Registry, most: u32) -> Result<Vec<(Metric, f64)>> {
    let before = registry.server.cpu_seconds()?;
    let Load { requests, seconds, p50, p99, .. } =
        ask(bench, registry, most, bench.settings.growth_time)?;
    let mut values = vec![
        (Metric::RequestsPerSecond, requests as f64 / seconds),
        (Metric::MedianMilliseconds, p50),
        (Metric::P99Milliseconds, p99),
    ];
    if let (Some(before), Some(after)) = (before, registry.server.cpu_seconds()?) {
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
