//! The bars of mirrors, imports, verification and backups.

use super::checks::{Check, Verdict, limit, number};
use crate::peers::BERTH;
use crate::results::{Metric, RowRun, Spread};
use crate::rows::mirror;
use crate::rows::safety::{backup, import, scrub};

pub(super) fn mirror(run: &RowRun) -> Vec<Check> {
    let straight = mirror::STRAIGHT;
    vec![
        beside(run, mirror::CROWD, Metric::Seconds, straight, |it| it.times(1.3), "at most 1.3 x"),
        limit(run, mirror::CROWD, BERTH, Metric::PeakMebibytes, 96.0, "96 MiB"),
        beside(
            run,
            mirror::FIRST_BYTE,
            Metric::Milliseconds,
            straight,
            |it| Spread { median: it.median + 5.0, min: it.min + 5.0, max: it.max + 5.0 },
            "at most 5 ms more than",
        ),
        no_slower(run, mirror::CACHED, mirror::OWN, 1.0),
    ]
}

pub(super) fn import(run: &RowRun) -> Vec<Check> {
    let memory = |case| {
        let (metric, tenth) = (Metric::PeakMebibytes, import::TENTH);
        beside(run, case, metric, tenth, |it| it.times(1.2), "at most 1.2 x")
    };
    vec![
        limit(run, import::IMPORT, BERTH, Metric::Seconds, 180.0, "180 s"),
        memory(import::IMPORT),
        limit(run, import::REINDEX, BERTH, Metric::Seconds, 300.0, "300 s"),
        memory(import::REINDEX),
    ]
}

pub(super) fn scrub(run: &RowRun) -> Vec<Check> {
    let metric = Metric::P99Milliseconds;
    vec![
        beside(run, scrub::GET, metric, scrub::WITHOUT, |it| it.times(1.05), "at most 1.05 x"),
        no_slower(run, scrub::BLOB, scrub::WITHOUT, 0.95),
    ]
}

pub(super) fn backup(run: &RowRun) -> Vec<Check> {
    let metric = Metric::P99Milliseconds;
    vec![
        limit(run, backup::CASE, BERTH, Metric::Seconds, 20.0, "20 s"),
        beside(run, backup::GET, metric, backup::WITHOUT, |it| it.times(1.5), "at most 1.5 x"),
    ]
}

/// No more than what another one allows.
fn beside(
    run: &RowRun,
    case: &str,
    metric: Metric,
    other: &str,
    allowed: impl Fn(Spread) -> Spread,
    words: &str,
) -> Check {
    let what = format!("{case}, {}", metric.title());
    let bar = format!("{words} {other}");
    let found = (run.spread(case, BERTH, metric), run.spread(case, other, metric));
    let (Some(ours), Some(theirs)) = found else { return Check::not_measured(what, bar) };
    let measured = format!("{} to {}", number(ours.median), number(theirs.median));
    Check { what, measured, bar, verdict: Verdict::at_most(ours, allowed(theirs)) }
}

/// At least that part of what another one reaches.
fn no_slower(run: &RowRun, case: &str, other: &str, part: f64) -> Check {
    let metric = Metric::MebibytesPerSecond;
    let what = format!("{case}, {}", metric.title());
    let bar = format!("at least {part} x {other}");
    let found = (run.spread(case, BERTH, metric), run.spread(case, other, metric));
    let (Some(ours), Some(theirs)) = found else { return Check::not_measured(what, bar) };
    let measured = format!("{} to {}", number(ours.median), number(theirs.median));
    Check { what, measured, bar, verdict: Verdict::at_least(ours, theirs.times(part)) }
}
