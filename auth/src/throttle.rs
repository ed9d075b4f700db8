use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most accounts and sources that are remembered; beyond it the oldest are forgotten.
const REMEMBERED: usize = 100_000;

/// How often somebody may be wrong before they have to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// How many wrong attempts there may be within the window.
    pub most: u32,
    /// How long one counts.
    pub window: Duration,
}

/// Slows down who guesses passwords: by the account that is tried, and by where the attempts come
/// from. What is right is never counted.
///
/// Each process counts by itself.
#[derive(Debug, Default)]
pub struct Throttle {
    failures: Mutex<HashMap<String, Failures>>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    since: Instant,
}

impl Throttle {
    /// How long whoever this is has to wait before another attempt is looked at; `None` when they
    /// need not.
    pub fn wait(&self, key: &str, attempts: Attempts, now: Instant) -> Option<Duration> {
        let failures = self.lock();
        let failed = failures.get(key)?;
        let passed = now.saturating_duration_since(failed.since);
        (failed.count >= attempts.most && passed < attempts.window)
            .then(|| attempts.window.saturating_sub(passed))
    }

    /// Counts a wrong attempt.
    pub fn failed(&self, key: &str, attempts: Attempts, now: Instant) {
        let mut failures = self.lock();
        if failures.len() >= REMEMBERED && !failures.contains_key(key) {
            make_room(&mut failures, attempts.window, now);
        }
        let failed = failures.entry(key.to_owned()).or_insert(Failures { count: 0, since: now });
        if now.saturating_duration_since(failed.since) >= attempts.window {
            *failed = Failures { count: 0, since: now };
        }
        failed.count = failed.count.saturating_add(1);
    }

    /// Forgets the wrong attempts of whoever was right at last.
    pub fn succeeded(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(failures: &mut HashMap<String, Failures>, window: Duration, now: Instant) {
    failures.retain(|_, failed| now.saturating_duration_since(failed.since) < window);
    if failures.len() >= REMEMBERED {
        // Whoever makes so many names up has no claim to be remembered well.
        failures.retain(|_, failed| failed.count > 1);
    }
    if failures.len() >= REMEMBERED {
        failures.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: Attempts = Attempts { most: 3, window: Duration::from_secs(60) };

    #[test]
    fn who_is_wrong_too_often_waits_until_the_window_is_over() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..3 {
            assert_eq!(throttle.wait("alice", THREE, at(second)), None);
            throttle.failed("alice", THREE, at(second));
        }
        assert_eq!(throttle.wait("alice", THREE, at(20)), Some(Duration::from_secs(40)));
        assert_eq!(throttle.wait("bob", THREE, at(20)), None);
        assert_eq!(throttle.wait("alice", THREE, at(60)), None);
        throttle.failed("alice", THREE, at(61));
        assert_eq!(throttle.wait("alice", THREE, at(62)), None);
    }

    #[test]
    fn who_is_right_begins_anew() {
        let throttle = Throttle::default();
        let now = Instant::now();
        throttle.failed("alice", THREE, now);
        throttle.failed("alice", THREE, now);
        throttle.succeeded("alice");
        throttle.failed("alice", THREE, now);
        assert_eq!(throttle.wait("alice", THREE, now), None);
    }

    #[test]
    fn made_up_names_do_not_fill_the_memory() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..3 {
            throttle.failed("alice", THREE, now);
        }
        for name in 0..REMEMBERED + 10 {
            throttle.failed(&format!("name {name}"), THREE, now);
        }
        assert!(throttle.lock().len() <= REMEMBERED);
        assert!(throttle.wait("alice", THREE, now).is_some());
    }
}
