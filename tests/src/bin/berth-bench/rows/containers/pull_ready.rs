//! From an image in a registry to one that can be run.

use anyhow::Result;
use berth_tests::fixtures;

use super::engines::Engine;
use super::machine::{apart, forget_files};
use super::{CONTAINERD, DOCKER, Images, Row, milliseconds};
use crate::Bench;
use crate::results::{Metric, RowRun};
use crate::rows::in_turn;

pub(crate) const CASE: &str = "pull of 28,000 files in 6 layers";

pub(in crate::rows) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    apart(|| measure(bench, run))
}

fn measure(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let rounds = bench.settings.pull_rounds;
    run.setting(format!(
        "an image of 6 layers with gzip, from Berth on the loopback, by an engine that has nothing of it; page cache dropped \
         before each pull, {rounds} rounds"
    ));
    let image = fixtures::many_files(bench.settings.files)?;
    let images = Images::with(bench, Row::PullReady, &image)?;
    let engines = Engine::find(bench, Row::PullReady, &[DOCKER, CONTAINERD], run)?;
    for round in 0..rounds {
        for engine in in_turn(&engines, round) {
            forget_files()?;
            let seconds = milliseconds(engine.pull(&images.name))? / 1e3;
            run.record(CASE, engine.name, round, &[(Metric::Seconds, seconds)]);
            engine.remove(&images.name)?;
        }
    }
    engines.into_iter().try_for_each(Engine::stop)?;
    images.stop()
}
