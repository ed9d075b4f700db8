//! `exec` of `true` in a container that runs.

use anyhow::Result;
use berth_tests::fixtures;

use super::engines::Engine;
use super::machine::apart;
use super::{DOCKER, Images, PODMAN, Row, milliseconds, says};
use crate::Bench;
use crate::results::{Metric, RowRun};
use crate::rows::in_turn;

pub(crate) const CASE: &str = "exec true";

pub(super) const IDLE: [&str; 3] = ["/bin/busybox", "sleep", "1000000"];

pub(in crate::rows) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    apart(|| measure(bench, run))
}

fn measure(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let rounds = bench.settings.container_rounds;
    run.setting(format!("`exec C true` in a container that sleeps, {rounds} rounds"));
    let images = Images::with(bench, Row::Exec, &fixtures::busybox()?)?;
    let engines = Engine::find(bench, Row::Exec, &[PODMAN, DOCKER], run)?;
    for engine in &engines {
        says(engine.pull(&images.name))?;
        let mut idle = engine.command(&["run", "--detach", "--name=idle", "--network=none"]);
        idle.arg(&images.name).args(IDLE);
        says(idle)?;
    }
    for round in 0..rounds {
        for engine in in_turn(&engines, round) {
            let taken = milliseconds(engine.command(&["exec", "idle", "true"]))?;
            run.record(CASE, engine.name, round, &[(Metric::Milliseconds, taken)]);
        }
    }
    for engine in engines {
        says(engine.command(&["rm", "--force", "idle"]))?;
        engine.stop()?;
    }
    images.stop()
}
