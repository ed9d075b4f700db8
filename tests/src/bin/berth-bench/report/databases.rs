//! The bars of Berth on its two databases.

use super::checks::{Check, Verdict, factor, limit, number};
use crate::peers::{BERTH, DISTRIBUTION_3};
use crate::results::{Metric, RowRun, Spread};
use crate::rows::database::{ON_POSTGRES, million, writes};
use crate::rows::manifests::{BY_DIGEST, BY_TAG};

pub(super) fn reads(run: &RowRun) -> Vec<Check> {
    [BY_TAG, BY_DIGEST].into_iter().flat_map(|case| [rate(run, case), latency(run, case)]).collect()
}

/// Half of what the embedded database reaches.
fn rate(run: &RowRun, case: &str) -> Check {
    const SHARE: f64 = 0.5;
    let metric = Metric::RequestsPerSecond;
    let what = format!("{case}, {}", metric.title());
    let bar = format!("at least {SHARE} x {BERTH} on SQLite");
    let found = (run.spread(case, ON_POSTGRES, metric), run.spread(case, BERTH, metric));
    let (Some(postgres), Some(sqlite)) = found else { return Check::not_measured(what, bar) };
    let measured = format!(
        "{:.2} x ({} to {})",
        postgres.median / sqlite.median,
        number(postgres.median),
        number(sqlite.median)
    );
    Check { what, measured, bar, verdict: Verdict::at_least(postgres, sqlite.times(SHARE)) }
}

fn latency(run: &RowRun, case: &str) -> Check {
    limit(run, case, ON_POSTGRES, Metric::P99Milliseconds, 5.0, "5 ms")
}

pub(super) fn writes(run: &RowRun) -> Vec<Check> {
    let metric = Metric::RequestsPerSecond;
    vec![at_least(run, metric, 1500.0), factor(run, writes::CASE, metric, 3.0, DISTRIBUTION_3)]
}

fn at_least(run: &RowRun, metric: Metric, least: f64) -> Check {
    let what = format!("{}, {}", writes::CASE, metric.title());
    let bar = format!("at least {least}");
    let Some(ours) = run.spread(writes::CASE, BERTH, metric) else {
        return Check::not_measured(what, bar);
    };
    let verdict = Verdict::at_least(ours, Spread::exactly(least));
    Check { what, measured: number(ours.median), bar, verdict }
}

pub(super) fn million(run: &RowRun) -> Vec<Check> {
    let pages = [million::TAG_PAGE, million::CATALOG_PAGE, million::REFERRERS_PAGE];
    let pages = pages.into_iter().flat_map(|case| {
        [BERTH, ON_POSTGRES].map(|peer| {
            let check = limit(run, case, peer, Metric::P99Milliseconds, 5.0, "5 ms");
            Check { what: format!("{case}, {peer}, p99, ms"), ..check }
        })
    });
    let migration = [
        limit(run, million::MIGRATION, ON_POSTGRES, Metric::Seconds, 300.0, "5 minutes"),
        limit(run, million::MIGRATION, ON_POSTGRES, Metric::PeakMebibytes, 128.0, "128 MiB"),
    ];
    pages.chain(migration).collect()
}
