//! The bars of who requests are from.

use super::checks::{Check, NOISE, Verdict, factor, number};
use crate::peers::BERTH;
use crate::results::{Metric, RowRun};
use crate::rows::identity::{ANONYMOUS, CROWD, QUIET, TOKENS, refusals};

/// A token costs little, a crowd that logs in is hardly noticed, and a refusal takes as long whatever it keeps secret.
pub(super) fn checks(run: &RowRun) -> Vec<Check> {
    let tokens = factor(run, TOKENS, Metric::RequestsPerSecond, 0.85, ANONYMOUS);
    let refusals =
        [refusals::MANIFEST, refusals::TAGS, refusals::LOGIN].map(|case| alike(run, case));
    [tokens, crowd(run)].into_iter().chain(refusals).collect()
}

fn crowd(run: &RowRun) -> Check {
    let what = format!("{CROWD}, {}", Metric::P99Milliseconds.title());
    let bar = format!("less than 2 x {QUIET}");
    let p99 = |peer| run.spread(CROWD, peer, Metric::P99Milliseconds);
    let (Some(crowd), Some(quiet)) = (p99(BERTH), p99(QUIET)) else {
        return Check::not_measured(what, bar);
    };
    let times = crowd.median / quiet.median;
    let measured = format!("{times:.2} x ({} to {})", number(crowd.median), number(quiet.median));
    Check { what, measured, bar, verdict: Verdict::at_most(crowd, quiet.times(2.0)) }
}

/// Neither of the two takes longer than the other.
fn alike(run: &RowRun, case: &str) -> Check {
    let what = format!("{case}, {}", Metric::MedianMilliseconds.title());
    let bar = "alike, within a tenth, whether it is there or not".to_owned();
    let p50 = |which| run.spread(case, which, Metric::MedianMilliseconds);
    let (Some(there), Some(absent)) = (p50(refusals::THERE), p50(refusals::ABSENT)) else {
        return Check::not_measured(what, bar);
    };
    let measured = format!("{} there, {} absent", number(there.median), number(absent.median));
    let (longer, shorter) =
        if there.median > absent.median { (there, absent) } else { (absent, there) };
    Check { what, measured, bar, verdict: Verdict::at_most(longer, shorter.times(NOISE)) }
}
