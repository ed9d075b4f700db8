//! The bars of the collection of garbage.

use super::checks::{Check, Verdict, limit, number};
use crate::peers::BERTH;
use crate::results::{Metric, RowRun, Spread};
use crate::rows::collection::{beside, cycle, store};

pub(super) fn of(run: &RowRun) -> Vec<Check> {
    vec![
        limit(run, cycle::CASE, BERTH, Metric::Seconds, 60.0, "60 s"),
        memory(run),
        unnoticed(run, beside::GET),
        unnoticed(run, beside::PUSH),
        deletions(run),
    ]
}

fn memory(run: &RowRun) -> Check {
    const MOST: f64 = 64.0;
    let what = format!("{}, memory above idle, MiB", cycle::CASE);
    let bar = format!("at most {MOST}");
    let found = |metric| run.spread(cycle::CASE, BERTH, metric);
    let (Some(peak), Some(idle)) = (found(Metric::PeakMebibytes), found(Metric::IdleMebibytes))
    else {
        return Check::not_measured(what, bar);
    };
    let above = peak.median - idle.median;
    let verdict = if above <= MOST { Verdict::Met } else { Verdict::NotMet };
    Check { what, measured: number(above), bar, verdict }
}

fn unnoticed(run: &RowRun, case: &str) -> Check {
    const TIMES: f64 = 1.5;
    let metric = Metric::P99Milliseconds;
    let what = format!("{case} while garbage is collected, {}", metric.title());
    let bar = format!("at most {TIMES} x the time without");
    let found = (run.spread(case, BERTH, metric), run.spread(case, beside::WITHOUT, metric));
    let (Some(with), Some(without)) = found else { return Check::not_measured(what, bar) };
    let measured = format!(
        "{:.2} x ({} to {})",
        with.median / without.median,
        number(with.median),
        number(without.median)
    );
    Check { what, measured, bar, verdict: Verdict::at_most(with, without.times(TIMES)) }
}

fn deletions(run: &RowRun) -> Check {
    const LEAST: f64 = 1000.0;
    let metric = Metric::ObjectsPerSecond;
    let what = format!("{}, {}", store::CASE, metric.title());
    let bar = format!("at least {LEAST}");
    let Some(ours) = run.spread(store::CASE, BERTH, metric) else {
        return Check::not_measured(what, bar);
    };
    let verdict = Verdict::at_least(ours, Spread::exactly(LEAST));
    Check { what, measured: number(ours.median), bar, verdict }
}
