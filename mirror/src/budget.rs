//! How much may be asked of an upstream in a window of time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use berth_config::Budget as Limits;

/// What was asked of an upstream in the window that goes on. Counted by each process for itself.
#[derive(Debug)]
pub(crate) struct Budget {
    requests: Option<u64>,
    bytes: Option<u64>,
    window: Duration,
    used: Mutex<Used>,
}

#[derive(Clone, Copy, Debug)]
struct Used {
    since: Instant,
    requests: u64,
    bytes: u64,
}

/// What is left of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) requests: Option<u64>,
    pub(crate) bytes: Option<u64>,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            requests: limits.requests,
            bytes: limits.bytes.map(|size| size.bytes()),
            window: limits.window.get(),
            used: Mutex::new(Used { since: Instant::now(), requests: 0, bytes: 0 }),
        }
    }

    /// Takes a request, unless there is none left, or no byte.
    pub(crate) fn take_request(&self) -> bool {
        self.with(Instant::now(), |used| {
            let left = self.left_of(used);
            if left.requests == Some(0) || left.bytes == Some(0) {
                return false;
            }
            used.requests += 1;
            true
        })
    }

    /// Counts bytes that have come.
    pub(crate) fn count_bytes(&self, bytes: u64) {
        if self.bytes.is_some() {
            self.with(Instant::now(), |used| used.bytes += bytes);
        }
    }

    pub(crate) fn left(&self) -> Left {
        self.with(Instant::now(), |used| self.left_of(used))
    }

    fn left_of(&self, used: &Used) -> Left {
        Left {
            requests: self.requests.map(|limit| limit.saturating_sub(used.requests)),
            bytes: self.bytes.map(|limit| limit.saturating_sub(used.bytes)),
        }
    }

    fn with<T>(&self, now: Instant, act: impl FnOnce(&mut Used) -> T) -> T {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(used.since) >= self.window {
            *used = Used { since: now, requests: 0, bytes: 0 };
        }
        act(&mut used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(requests: Option<u64>, bytes: Option<u64>) -> Budget {
        let used = Mutex::new(Used { since: Instant::now(), requests: 0, bytes: 0 });
        Budget { requests, bytes, window: Duration::from_secs(60), used }
    }

    #[test]
    fn requests_and_bytes_run_out_and_come_back_with_the_next_window() {
        let budget = budget(Some(2), Some(100));
        assert!(budget.take_request() && budget.take_request() && !budget.take_request());
        let later = Instant::now() + Duration::from_secs(61);
        assert_eq!(budget.with(later, |used| budget.left_of(used)).requests, Some(2));

        let budget = self::budget(None, Some(100));
        assert!(budget.take_request());
        budget.count_bytes(150);
        assert!(!budget.take_request());
        assert_eq!(budget.left(), Left { requests: None, bytes: Some(0) });
    }

    #[test]
    fn without_limits_nothing_runs_out() {
        let budget = budget(None, None);
        budget.count_bytes(u64::MAX);
        assert!((0..1000).all(|_| budget.take_request()));
    }
}
