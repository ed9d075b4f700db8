//! Many idle containers: what each costs, and whether the next one starts as fast as the first.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use berth_tests::fixtures;

use super::engines::Engine;
use super::exec::IDLE;
use super::machine::apart;
use super::{Images, Row, milliseconds, says};
use crate::Bench;
use crate::peers::BERTH;
use crate::results::{Metric, RowRun};

pub(crate) const MEMORY: &str = "all processes of berth, each container";
pub(crate) const FIRST: &str = "start of the first tenth";
pub(crate) const LAST: &str = "start of the last tenth";

pub(in crate::rows) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    apart(|| measure(bench, run))
}

fn measure(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let count = bench.settings.idle_containers;
    run.setting(format!("berth alone, {count} containers on the bridge that sleep, `run --detach` one after the other"));
    let images = Images::with(bench, Row::Monitor, &fixtures::busybox()?)?;
    let mut engines = Engine::find(bench, Row::Monitor, &[], run)?;
    let engine = engines.pop().context("no berth")?;
    says(engine.pull(&images.name))?;
    let program = bench.berth()?.program()?;
    let before = proportional(program)?;
    let tenth = (count / 10).max(1);
    let mut names = Vec::new();
    for number in 0..count {
        let name = format!("idle-{number}");
        let option = format!("--name={name}");
        let mut command = engine.command(&["run", "--detach", &option]);
        command.arg(&images.name).args(IDLE);
        let taken = milliseconds(command)?;
        let case = match number {
            _ if number < tenth => Some(FIRST),
            _ if number >= count - tenth => Some(LAST),
            _ => None,
        };
        if let Some(case) = case {
            run.record(case, BERTH, number, &[(Metric::Milliseconds, taken)]);
        }
        names.push(name);
    }
    let each = (proportional(program)? - before) / count as f64;
    run.record(MEMORY, BERTH, 0, &[(Metric::ProportionalMebibytes, each)]);
    let mut remove = engine.command(&["rm", "--force"]);
    remove.args(names);
    says(remove)?;
    images.stop()
}

/// The MiB that all processes of a program have, shared pages by halves, thirds and so on.
fn proportional(program: &Path) -> Result<f64> {
    let program = fs::canonicalize(program)?;
    let mut kibibytes = 0.0;
    let mut seen = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        if fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == program) {
            let Ok(text) = fs::read_to_string(entry.path().join("smaps_rollup")) else { continue };
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
            let number = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
            kibibytes += number.unwrap_or_default();
            seen += 1;
        }
    }
    ensure!(seen > 0, "no process of {} runs", program.display());
    Ok(kibibytes / 1024.0)
}
