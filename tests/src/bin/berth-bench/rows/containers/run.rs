//! `run --rm` of `true`, on each kind of network.

use anyhow::Result;
use berth_tests::fixtures;

use super::engines::Engine;
use super::machine::apart;
use super::{DOCKER, Images, PODMAN, Row, milliseconds, says};
use crate::Bench;
use crate::results::{Metric, RowRun};
use crate::rows::in_turn;

pub(crate) const NONE: &str = "network none";
pub(crate) const BRIDGE: &str = "bridge";
pub(crate) const PUBLISHED: &str = "bridge, a published port";

pub(in crate::rows) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    apart(|| measure(bench, run))
}

fn measure(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let rounds = bench.settings.container_rounds;
    run.setting(format!(
        "`run --rm IMAGE true` of a busybox image that is there, from the start of the command to its end, {rounds} rounds"
    ));
    let images = Images::with(bench, Row::Run, &fixtures::busybox()?)?;
    let engines = Engine::find(bench, Row::Run, &[PODMAN, DOCKER], run)?;
    for engine in &engines {
        says(engine.pull(&images.name))?;
    }
    let cases =
        [(NONE, "none", None), (BRIDGE, "bridge", None), (PUBLISHED, "bridge", Some("18080:80"))];
    // The first makes what all others find: the bridge, the rules.
    for engine in &engines {
        for (_, network, port) in cases {
            milliseconds(engine.run(network, port, &images.name))?;
        }
    }
    for round in 0..rounds {
        for (case, network, port) in cases {
            for engine in in_turn(&engines, round) {
                let taken = milliseconds(engine.run(network, port, &images.name))?;
                run.record(case, engine.name, round, &[(Metric::Milliseconds, taken)]);
            }
        }
    }
    engines.into_iter().try_for_each(Engine::stop)?;
    images.stop()
}
