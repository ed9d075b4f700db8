//! The bars of registries on an S3 server.

use super::checks::{Check, NOISE, Verdict, factor, limit, number};
use crate::peers::{BERTH, DISTRIBUTION_3};
use crate::results::{Metric, RowRun};
use crate::rows::stores::{memory, push, requests, stream};

/// What heads and ends of multipart uploads add to the bytes of a blob.
const BESIDE_THE_BLOB: f64 = 1.001;
/// MiB, beside the part buffers.
const BESIDE_THE_BUFFERS: u64 = 64;

pub(super) fn push(run: &RowRun) -> Vec<Check> {
    vec![share(run, push::TIMED, Metric::Seconds, 0.6), once(run)]
}

/// At most this share of what distribution 3 takes.
fn share(run: &RowRun, case: &str, metric: Metric, times: f64) -> Check {
    let what = format!("{case}, {}", metric.title());
    let bar = format!("at most {times} x {DISTRIBUTION_3}");
    let found = (run.spread(case, BERTH, metric), run.spread(case, DISTRIBUTION_3, metric));
    let (Some(ours), Some(theirs)) = found else { return Check::not_measured(what, bar) };
    let measured = format!(
        "{:.2} x ({} to {})",
        ours.median / theirs.median,
        number(ours.median),
        number(theirs.median)
    );
    Check { what, measured, bar, verdict: Verdict::at_most(ours, theirs.times(times)) }
}

/// Whether each byte went to the store one time.
fn once(run: &RowRun) -> Check {
    let what = "bytes to the store, times the blob".to_owned();
    let bar = "once, and no copies".to_owned();
    let found = |metric| run.spread(push::COUNTED, BERTH, metric);
    let (Some(times), Some(copies)) = (found(Metric::TimesTheBlob), found(Metric::StoreCopies))
    else {
        return Check::not_measured(what, bar);
    };
    let is_once = (1.0..=BESIDE_THE_BLOB).contains(&times.median) && copies.median == 0.0;
    let measured = format!("{:.4}, copies: {}", times.median, number(copies.median));
    Check { what, measured, bar, verdict: if is_once { Verdict::Met } else { Verdict::NotMet } }
}

pub(super) fn stream(run: &RowRun) -> Vec<Check> {
    vec![factor(run, stream::CASE, Metric::MebibytesPerSecond, 1.2, DISTRIBUTION_3)]
}

pub(super) fn requests(run: &RowRun) -> Vec<Check> {
    let counts =
        requests::CASES.map(|case| limit(run, case, BERTH, Metric::StoreRequests, 0.0, "0"));
    counts.into_iter().chain([delayed(run)]).collect()
}

/// The rate of a slow store beside that of a fast one.
fn delayed(run: &RowRun) -> Check {
    let metric = Metric::RequestsPerSecond;
    let what = format!("{}, {}", requests::DELAYED, metric.title());
    let bar = "the rate without, within a tenth".to_owned();
    let found = [requests::DELAYED, requests::AS_IT_IS].map(|case| run.spread(case, BERTH, metric));
    let [Some(slow), Some(fast)] = found else { return Check::not_measured(what, bar) };
    let measured = format!("{} instead of {}", number(slow.median), number(fast.median));
    Check { what, measured, bar, verdict: Verdict::at_least(slow, fast.times(1.0 / NOISE)) }
}

pub(super) fn memory(run: &RowRun) -> Vec<Check> {
    let most = memory::PART_BUFFERS + BESIDE_THE_BUFFERS;
    let shown = format!("{most} MiB, the part buffers and {BESIDE_THE_BUFFERS} MiB");
    vec![limit(run, memory::CASE, BERTH, Metric::PeakMebibytes, most as f64, &shown)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(times: f64, copies: f64) -> Verdict {
        let mut run = RowRun::begin();
        let values = [(Metric::TimesTheBlob, times), (Metric::StoreCopies, copies)];
        run.record(push::COUNTED, BERTH, 0, &values);
        once(&run).verdict
    }

    #[test]
    fn a_byte_that_is_sent_again_or_copied_is_not_written_once() {
        assert_eq!(pushed(1.0001, 0.0), Verdict::Met);
        assert_eq!(pushed(1.01, 0.0), Verdict::NotMet);
        assert_eq!(pushed(0.5, 0.0), Verdict::NotMet);
        assert_eq!(pushed(1.0, 1.0), Verdict::NotMet);
    }

    #[test]
    fn a_slow_store_may_cost_a_tenth_of_the_rate() {
        let rate = |slow: f64| {
            let mut run = RowRun::begin();
            for (case, rate) in [(requests::AS_IT_IS, 1000.0), (requests::DELAYED, slow)] {
                run.record(case, BERTH, 0, &[(Metric::RequestsPerSecond, rate)]);
            }
            delayed(&run).verdict
        };
        assert_eq!((rate(950.0), rate(800.0)), (Verdict::Met, Verdict::NotMet));
    }

    #[test]
    fn a_push_must_take_at_most_its_share() {
        let mut run = RowRun::begin();
        for (peer, seconds) in [(BERTH, 6.1), (DISTRIBUTION_3, 10.0)] {
            run.record(push::TIMED, peer, 0, &[(Metric::Seconds, seconds)]);
        }
        assert_eq!(push(&run)[0].verdict, Verdict::NotMet);
    }
}
