//! The bars of containers.

use super::checks::{Check, Verdict, limit, number};
use crate::peers::BERTH;
use crate::results::{Metric, RowRun, Spread};
use crate::rows::containers::{
    CONTAINERD, CRUN, DOCKER, RUNC, exec, monitor, oci_run, pull_ready, run,
};

pub(super) fn oci_run(run: &RowRun) -> Vec<Check> {
    let bars = [(0.8, CRUN), (0.35, RUNC)];
    bars.map(|(times, peer)| share(run, oci_run::CASE, Metric::Milliseconds, times, peer)).into()
}

pub(super) fn run(row: &RowRun) -> Vec<Check> {
    let bars = [(run::NONE, 12.0), (run::BRIDGE, 14.0), (run::PUBLISHED, 16.0)];
    bars.into_iter()
        .flat_map(|(case, most)| {
            [best(row, case, most), share(row, case, Metric::Milliseconds, 0.1, DOCKER)]
        })
        .collect()
}

pub(super) fn exec(run: &RowRun) -> Vec<Check> {
    vec![best(run, exec::CASE, 6.0)]
}

pub(super) fn pull_ready(run: &RowRun) -> Vec<Check> {
    let case = pull_ready::CASE;
    vec![
        limit(run, case, BERTH, Metric::Seconds, 2.0, "2 s"),
        share(run, case, Metric::Seconds, 0.15, DOCKER),
        share(run, case, Metric::Seconds, 0.3, CONTAINERD),
        limit(run, pull_ready::NEARBY, BERTH, Metric::Seconds, 0.05, "50 ms"),
    ]
}

pub(super) fn monitor(run: &RowRun) -> Vec<Check> {
    let memory = limit(run, monitor::MEMORY, BERTH, Metric::ProportionalMebibytes, 1.0, "1 MiB");
    vec![memory, flat(run)]
}

/// At most so many times what a peer takes, by the medians.
fn share(run: &RowRun, case: &str, metric: Metric, times: f64, peer: &str) -> Check {
    let what = format!("{case}, {}", metric.title());
    let bar = format!("at most {times} x {peer}");
    let found = (run.spread(case, BERTH, metric), run.spread(case, peer, metric));
    let (Some(ours), Some(theirs)) = found else { return Check::not_measured(what, bar) };
    let measured = format!(
        "{:.2} x ({} to {})",
        ours.median / theirs.median,
        number(ours.median),
        number(theirs.median)
    );
    Check { what, measured, bar, verdict: Verdict::at_most(ours, theirs.times(times)) }
}

/// The best of all rounds, which is what the work takes when nothing else goes on.
fn best(run: &RowRun, case: &str, most: f64) -> Check {
    let what = format!("{case}, best, ms");
    let bar = format!("at most {most}");
    let Some(ours) = run.spread(case, BERTH, Metric::Milliseconds) else {
        return Check::not_measured(what, bar);
    };
    let verdict = Verdict::at_most(Spread::exactly(ours.min), Spread::exactly(most));
    Check { what, measured: number(ours.min), bar, verdict }
}

/// The last ones start as the first ones do.
fn flat(run: &RowRun) -> Check {
    let what = format!("{}, ms", monitor::LAST);
    let bar = format!("unchanged, within a tenth, from the {}", monitor::FIRST);
    let found =
        [monitor::FIRST, monitor::LAST].map(|case| run.spread(case, BERTH, Metric::Milliseconds));
    let [Some(first), Some(last)] = found else { return Check::not_measured(what, bar) };
    let measured = format!("{} instead of {}", number(last.median), number(first.median));
    Check { what, measured, bar, verdict: Verdict::unchanged(last, first) }
}
