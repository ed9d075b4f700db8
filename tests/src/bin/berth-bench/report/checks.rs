//! The bars of the table, and whether they are met.

use super::{collection, containers, databases, identity, safety, stores};
use crate::peers::{BERTH, DISTRIBUTION_3, NGINX, NGINX_CACHED};
use crate::results::{Metric, RowRun, Spread};
use crate::rows::Row;
use crate::rows::{growth, manifests, memory, push, retention, small_blobs, start};

/// How far medians of unchanged latencies lie apart on a quiet machine.
pub(super) const NOISE: f64 = 1.1;

/// One bar.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) bar: String,
    pub(crate) verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    /// The medians say no, but the rounds of both spread so far that they overlap.
    WithinNoise,
    NotMet,
    /// Something to compare with is missing.
    NotMeasured,
}

impl Verdict {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::WithinNoise => "within noise",
            Self::NotMet => "NOT MET",
            Self::NotMeasured => "not measured",
        }
    }

    /// `ours` must be no less than `theirs`.
    pub(super) fn at_least(ours: Spread, theirs: Spread) -> Self {
        match () {
            () if ours.median >= theirs.median => Self::Met,
            () if ours.max >= theirs.min => Self::WithinNoise,
            () => Self::NotMet,
        }
    }

    /// `many` must be what `few` is. Rounds of the same thing differ by as much as this allows.
    pub(super) fn unchanged(many: Spread, few: Spread) -> Self {
        Self::at_most(many, Spread { median: few.median * NOISE, ..few })
    }

    /// `ours` must be no more than `theirs`.
    pub(super) fn at_most(ours: Spread, theirs: Spread) -> Self {
        match () {
            () if ours.median <= theirs.median => Self::Met,
            () if ours.min <= theirs.max => Self::WithinNoise,
            () => Self::NotMet,
        }
    }
}

/// The bars of a row.
pub(crate) fn of(row: Row, run: &RowRun) -> Vec<Check> {
    match row {
        Row::Manifests => manifests(run),
        Row::Blobs => blobs(run),
        Row::Tls => tls(run),
        Row::Push => vec![limit(run, push::CASE, BERTH, Metric::TimesTheFloor, 1.25, "1.25")],
        Row::SmallBlobs => vec![factor(
            run,
            small_blobs::TWO_REQUESTS,
            Metric::BlobsPerSecond,
            4.0,
            DISTRIBUTION_3,
        )],
        Row::Memory => memory(run),
        Row::Growth => growth(run),
        Row::Start => start(run),
        Row::StorePush => stores::push(run),
        Row::StoreStream => stores::stream(run),
        Row::StoreRequests => stores::requests(run),
        Row::StoreMemory => stores::memory(run),
        Row::DatabaseReads => databases::reads(run),
        Row::DatabaseWrites => databases::writes(run),
        Row::DatabaseMillion => databases::million(run),
        Row::Collection => collection::of(run),
        Row::Retention => retention(run),
        Row::Identity => identity::checks(run),
        Row::Mirror => safety::mirror(run),
        Row::Import => safety::import(run),
        Row::Scrub => safety::scrub(run),
        Row::Backup => safety::backup(run),
        Row::OciRun => containers::oci_run(run),
        Row::Run => containers::run(run),
        Row::Exec => containers::exec(run),
        Row::PullReady => containers::pull_ready(run),
        Row::Monitor => containers::monitor(run),
    }
}

fn manifests(run: &RowRun) -> Vec<Check> {
    let bars = [(6.0, DISTRIBUTION_3), (0.6, NGINX), (0.6, NGINX_CACHED)];
    [manifests::BY_TAG, manifests::BY_DIGEST]
        .into_iter()
        .flat_map(|case| {
            bars.map(|(times, peer)| factor(run, case, Metric::RequestsPerSecond, times, peer))
        })
        .collect()
}

/// At least so many times what a peer reaches.
pub(super) fn factor(run: &RowRun, case: &str, metric: Metric, times: f64, peer: &str) -> Check {
    let unit = metric.title();
    let what = format!("{case}, {unit}");
    let bar = format!("at least {times} x {peer}");
    let found = (run.spread(case, BERTH, metric), run.spread(case, peer, metric));
    let (Some(ours), Some(theirs)) = found else { return Check::not_measured(what, bar) };
    let measured = format!(
        "{:.2} x ({} to {})",
        ours.median / theirs.median,
        number(ours.median),
        number(theirs.median)
    );
    let verdict = Verdict::at_least(ours, theirs.times(times));
    Check { what, measured, bar, verdict }
}

fn blobs(run: &RowRun) -> Vec<Check> {
    run.cases()
        .into_iter()
        .flat_map(|case| {
            [
                best(run, case, Metric::MebibytesPerSecond, true),
                best(run, case, Metric::ServerSecondsPerGibibyte, false),
            ]
        })
        .collect()
}

fn tls(run: &RowRun) -> Vec<Check> {
    let bars = [(1.3, DISTRIBUTION_3), (1.0, NGINX)];
    run.cases()
        .into_iter()
        .flat_map(|case| {
            bars.map(|(times, peer)| factor(run, case, Metric::MebibytesPerSecond, times, peer))
        })
        .collect()
}

/// As good as the best of all others.
fn best(run: &RowRun, case: &str, metric: Metric, more_is_better: bool) -> Check {
    let what = format!("{case}, {}", metric.title());
    let others = run.peers().into_iter().filter(|peer| *peer != BERTH);
    let mut others: Vec<(&str, Spread)> =
        others.filter_map(|peer| Some((peer, run.spread(case, peer, metric)?))).collect();
    others.sort_by(|(_, a), (_, b)| a.median.total_cmp(&b.median));
    let found = if more_is_better { others.last() } else { others.first() };
    let (Some(&(peer, theirs)), Some(ours)) = (found, run.spread(case, BERTH, metric)) else {
        return Check::not_measured(what, "the best peer".to_owned());
    };
    let (word, verdict) = match more_is_better {
        true => ("at least", Verdict::at_least(ours, theirs)),
        false => ("at most", Verdict::at_most(ours, theirs)),
    };
    Check {
        what,
        measured: number(ours.median),
        bar: format!("{word} {} ({peer})", number(theirs.median)),
        verdict,
    }
}

/// No more than a number.
pub(super) fn limit(
    run: &RowRun,
    case: &str,
    who: &str,
    metric: Metric,
    most: f64,
    shown: &str,
) -> Check {
    let what = format!("{case}, {}", metric.title());
    let bar = format!("at most {shown}");
    let Some(ours) = run.spread(case, who, metric) else { return Check::not_measured(what, bar) };
    let verdict = Verdict::at_most(ours, Spread::exactly(most));
    Check { what, measured: number(ours.median), bar, verdict }
}

fn memory(run: &RowRun) -> Vec<Check> {
    let idle = limit(run, memory::IDLE, BERTH, Metric::IdleMebibytes, 20.0, "20 MiB");
    let busy = run.cases().into_iter().filter(|case| *case != memory::IDLE);
    let busy = busy.map(|case| limit(run, case, BERTH, Metric::PeakMebibytes, 96.0, "96 MiB"));
    std::iter::once(idle).chain(busy).collect()
}

/// Few tags and many, wherever a case was measured with both.
fn growth(run: &RowRun) -> Vec<Check> {
    let bars = [
        (growth::HOT_TAGS, Metric::P99Milliseconds),
        (growth::ANY_TAG, Metric::P99Milliseconds),
        (growth::NO_CACHE, Metric::P99Milliseconds),
        (growth::TAG_PAGE, Metric::MedianMilliseconds),
        (growth::CATALOG_PAGE, Metric::MedianMilliseconds),
    ];
    let names = run.peers();
    // One repository, and then many: few tags and many tags each.
    let in_one = |name: &&str| name.ends_with(" 1 repository");
    let (one, over): (Vec<&str>, Vec<&str>) = names.into_iter().partition(in_one);
    [one, over]
        .into_iter()
        .flat_map(|mut shapes| {
            shapes.sort_by_key(|name| tags_in(name));
            let pair = shapes.first().copied().zip(shapes.last().copied());
            bars.map(|(case, metric)| pair.map(|pair| unchanged(run, case, metric, pair)))
        })
        .flatten()
        .collect()
}

/// Of few tags and many, the latter in so many seconds and in the same memory.
fn retention(run: &RowRun) -> Vec<Check> {
    let mut shapes = run.peers();
    shapes.sort_by_key(|name| tags_in(name));
    let (Some(few), Some(many)) = (shapes.first().copied(), shapes.last().copied()) else {
        return Vec::new();
    };
    vec![
        limit(run, retention::CASE, many, Metric::Seconds, 30.0, "30 s"),
        unchanged(run, retention::CASE, Metric::PeakMebibytes, (few, many)),
    ]
}

fn tags_in(name: &str) -> u64 {
    name.split(' ').next().and_then(|tags| tags.parse().ok()).unwrap_or(0)
}

fn unchanged(run: &RowRun, case: &str, metric: Metric, (few, many): (&str, &str)) -> Check {
    let what = format!("{case}, {}, {many}", metric.title());
    let bar = format!("unchanged, within a tenth, from {few}");
    let found = (run.spread(case, few, metric), run.spread(case, many, metric));
    let (Some(few), Some(many)) = found else { return Check::not_measured(what, bar) };
    let measured = format!("{} instead of {}", number(many.median), number(few.median));
    Check { what, measured, bar, verdict: Verdict::unchanged(many, few) }
}

fn start(run: &RowRun) -> Vec<Check> {
    let names = run.peers();
    [start::CLEAN, start::KILLED]
        .into_iter()
        .flat_map(|case| names.iter().map(move |name| (case, *name)))
        .map(|(case, name)| {
            let check = limit(run, case, name, Metric::Milliseconds, 100.0, "100 ms");
            Check { what: format!("{case}, {name}, ms"), ..check }
        })
        .collect()
}

impl Check {
    pub(super) fn not_measured(what: String, bar: String) -> Self {
        Self { what, measured: "-".to_owned(), bar, verdict: Verdict::NotMeasured }
    }
}

impl Spread {
    pub(super) fn exactly(value: f64) -> Self {
        Self { median: value, min: value, max: value }
    }

    pub(super) fn times(self, factor: f64) -> Self {
        Self { median: self.median * factor, min: self.min * factor, max: self.max * factor }
    }
}

/// With as many digits as say something.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(samples: &[(&str, Metric, f64)]) -> RowRun {
        let mut run = RowRun::begin();
        for (round, (peer, metric, value)) in samples.iter().enumerate() {
            run.record("case", peer, round, &[(*metric, *value)]);
        }
        run
    }

    #[test]
    fn a_bar_is_met_by_the_median() {
        let metric = Metric::RequestsPerSecond;
        let run = run(&[(BERTH, metric, 61.0), (NGINX, metric, 100.0)]);
        assert_eq!(factor(&run, "case", metric, 0.6, NGINX).verdict, Verdict::Met);
        assert_eq!(factor(&run, "case", metric, 0.7, NGINX).verdict, Verdict::NotMet);
        assert_eq!(factor(&run, "case", metric, 6.0, DISTRIBUTION_3).verdict, Verdict::NotMeasured);
    }

    #[test]
    fn rounds_that_overlap_are_noise() {
        let metric = Metric::ServerSecondsPerGibibyte;
        let run = run(&[
            (BERTH, metric, 0.40),
            (BERTH, metric, 0.50),
            (NGINX, metric, 0.39),
            (NGINX, metric, 0.41),
            (DISTRIBUTION_3, metric, 0.60),
        ]);
        let check = best(&run, "case", metric, false);
        assert_eq!(check.verdict, Verdict::WithinNoise);
        assert!(check.bar.contains(NGINX), "{check:?}");
    }
}
