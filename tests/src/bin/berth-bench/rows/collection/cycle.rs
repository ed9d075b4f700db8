//! A whole cycle over a large registry in files.

use std::fs;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::Bench;
use crate::garbage::Garbage;
use crate::peers::BERTH;
use crate::results::{Metric, RowRun};
use crate::rows::settle;

pub(crate) const CASE: &str = "one cycle";

pub(super) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let content = Garbage { blobs: bench.settings.collected_blobs };
    let prepared = content.prepare(&bench.cache)?;
    run.setting(format!(
        "{CASE}: {} blobs, {} manifests, all links due, {} blobs garbage whose files are there; `berth garbage-collect` \
         in a process that serves nobody meanwhile; filesystem, SQLite",
        content.blobs,
        content.manifests(),
        content.garbage(),
    ));
    let launch = super::collecting(&super::launch(bench)?, false);
    launch.copy_database(&prepared)?;
    content.write_files(&launch.data())?;
    let server = bench.berth()?.start(&launch)?;
    let group = server.group.context("its processes cannot be seen")?;
    settle();
    thread::sleep(bench.settings.idle);
    let idle = group.memory()?.resident;
    group.reset_peak()?;
    let before = group.cpu_seconds()?;
    let start = Instant::now();
    super::collect(bench, &launch)?;
    let seconds = start.elapsed().as_secs_f64();
    let values = [
        (Metric::Seconds, seconds),
        (Metric::ServerSeconds, group.cpu_seconds()? - before),
        (Metric::IdleMebibytes, idle),
        (Metric::PeakMebibytes, group.memory()?.peak),
    ];
    run.record(CASE, BERTH, 0, &values);
    server.stop()?;
    let blobs = launch.data().join("docker/registry/v2/blobs/sha256");
    let mut left = 0;
    for folder in fs::read_dir(blobs)? {
        left += fs::read_dir(folder?.path())?.count();
    }
    // The manifests were never written into this tree.
    ensure!(left == 0, "{left} files are left");
    Ok(())
}
