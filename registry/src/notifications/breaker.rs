use std::time::Duration;

/// The patience with an endpoint: it is tried again at once until it has failed a number of times in
/// a row, and from then on once in a while, until it answers.
#[derive(Debug)]
pub(super) struct Breaker {
    threshold: u32,
    backoff: Duration,
    failures: u32,
}

impl Breaker {
    pub(super) fn new(threshold: u32, backoff: Duration) -> Self {
        Self { threshold, backoff, failures: 0 }
    }

    /// Takes note of a failure. Answers how many there were in a row.
    pub(super) fn failed(&mut self) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// Takes note of a success. Answers how many failures it ended.
    pub(super) fn succeeded(&mut self) -> u32 {
        std::mem::take(&mut self.failures)
    }

    /// How long to wait before the next try; `None` for not at all.
    pub(super) fn pause(&self) -> Option<Duration> {
        (self.failures >= self.threshold).then_some(self.backoff)
    }

    /// Whether the last failure was the one that exhausted the patience.
    pub(super) fn has_just_opened(&self) -> bool {
        self.failures == self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patience_ends_at_the_threshold_and_comes_back_with_a_success() {
        let second = Duration::from_secs(1);
        let mut breaker = Breaker::new(3, second);
        for round in 0..2 {
            assert_eq!(breaker.pause(), None, "round {round}");
            assert_eq!((breaker.failed(), breaker.pause()), (1, None));
            assert_eq!((breaker.failed(), breaker.pause()), (2, None));
            assert!(!breaker.has_just_opened());
            assert_eq!((breaker.failed(), breaker.pause()), (3, Some(second)));
            assert!(breaker.has_just_opened());
            assert_eq!((breaker.failed(), breaker.pause()), (4, Some(second)));
            assert!(!breaker.has_just_opened());
            assert_eq!(breaker.succeeded(), 4);
            assert_eq!(breaker.succeeded(), 0);
        }
    }
}
