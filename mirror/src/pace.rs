use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How much may come at once after a rest, as time.
const BURST: Duration = Duration::from_millis(100);

/// How fast bytes may come from an upstream, all fetches together. Who has received too many waits before it
/// reads on, so that the sender's window closes.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_a_second: u64,
    /// When what has come by now would have come at that pace.
    paid_until: Mutex<Instant>,
}

impl Pace {
    pub(crate) fn new(bytes_a_second: u64) -> Self {
        Self { bytes_a_second, paid_until: Mutex::new(Instant::now()) }
    }

    /// Counts bytes that have come, and waits until they may have.
    pub(crate) async fn keep(&self, bytes: u64) {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_a_second.max(1));
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let until = {
            let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let begin = (*paid_until).max(now.checked_sub(BURST).unwrap_or(now));
            *paid_until = begin.checked_add(cost).unwrap_or(begin);
            *paid_until
        };
        sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_that_fetch_share_the_pace() {
        let pace = Pace::new(1000);
        let begin = Instant::now();
        let fetch = || async {
            for _ in 0..5 {
                pace.keep(1000).await;
            }
        };
        tokio::join!(fetch(), fetch());
        let took = begin.elapsed();
        let expected = Duration::from_secs(10);
        assert!(took <= expected && took > expected - 2 * BURST, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_saves_no_more_than_a_burst() {
        let pace = Pace::new(1000);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let begin = Instant::now();
        pace.keep(1000).await;
        assert!(begin.elapsed() > Duration::from_secs(1) - 2 * BURST);
    }
}
