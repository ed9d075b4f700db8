//! Collecting garbage: how long it takes, and who notices.

pub(crate) mod beside;
pub(crate) mod cycle;
pub(crate) mod store;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Row;
use crate::Bench;
use crate::peers::{BERTH, Launch};
use crate::results::RowRun;

pub(super) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    cycle::run(bench, run)?;
    beside::run(bench, run)?;
    store::run(bench, run)
}

/// For how long what is pushed is left alone.
const LEASE: Duration = Duration::from_secs(1);

/// A launch where what nothing needs is garbage soon.
fn launch(bench: &Bench) -> Result<Launch> {
    Ok(Row::Collection
        .launch(bench, BERTH)?
        .set(
            "REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECTION_LEASE",
            &format!("{}s", LEASE.as_secs()),
        )
        .set("REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECTION_GRACEPERIOD", "0s"))
}

/// The launch with collection going on, or with none but on demand.
fn collecting(launch: &Launch, always: bool) -> Launch {
    let launch = launch.clone();
    match always {
        true => launch.set("REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECTION_INTERVAL", "1s"),
        false => launch.set("REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECTION_ENABLED", "false"),
    }
}

/// Has a cycle done by the process that runs on that launch, and waits for its end.
fn collect(bench: &Bench, launch: &Launch) -> Result<()> {
    let mut command = bench.berth()?.tool(launch, &["garbage-collect", "--quiet"])?;
    let output = command.output().context("cannot start berth")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "berth garbage-collect: {told}");
    Ok(())
}
