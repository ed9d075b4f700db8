//! How much of the server one caller or one repository takes.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use berth_config::{Limits, Rates};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use quick_cache::sync::Cache;

/// How many callers, and how many repositories, are counted. Who is forgotten begins anew.
const COUNTED: usize = 10_000;

/// How long to wait for an upload to end, as far as anybody can say.
const AFTER_AN_UPLOAD: Duration = Duration::from_secs(1);

/// For how many seconds requests may come at once where no burst is configured.
const BURST_SECONDS: u32 = 10;

/// What each of them takes.
#[derive(Debug)]
pub(crate) struct Consumption {
    callers: Table,
    repositories: Table,
}

#[derive(Debug)]
struct Table(Cache<String, Arc<Meter>>);

/// What one of them takes, as far as it is limited.
#[derive(Debug)]
struct Meter {
    rates: Rates,
    requests: Option<DefaultDirectRateLimiter>,
    bandwidth: Option<DefaultDirectRateLimiter>,
    uploads: AtomicU32,
}

/// A request that may go on. While it is held it counts as an upload, if it is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pass {
    meters: Vec<Arc<Meter>>,
    uploads: Vec<Arc<Upload>>,
}

#[derive(Debug)]
struct Upload(Arc<Meter>);

impl Drop for Upload {
    fn drop(&mut self) {
        self.0.uploads.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Too much: when to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch(pub(crate) Duration);

impl Consumption {
    pub(crate) fn new() -> Self {
        Self { callers: Table(Cache::new(COUNTED)), repositories: Table(Cache::new(COUNTED)) }
    }

    /// Counts a request of a caller, on a repository where it is about one.
    pub(crate) fn admit(
        &self,
        limits: &Limits,
        caller: impl FnOnce() -> String,
        repository: Option<&str>,
        is_upload: bool,
    ) -> Result<Pass, TooMuch> {
        let mut pass = Pass::default();
        if !limits.caller.is_unlimited() {
            pass.add(self.callers.meter(caller(), limits.caller), is_upload)?;
        }
        if let Some(repository) = repository.filter(|_| !limits.repository.is_unlimited()) {
            let meter = self.repositories.meter(repository.to_owned(), limits.repository);
            pass.add(meter, is_upload)?;
        }
        Ok(pass)
    }
}

impl Table {
    fn meter(&self, key: String, rates: Rates) -> Arc<Meter> {
        if let Some(meter) = self.0.get(&key).filter(|meter| meter.rates == rates) {
            return meter;
        }
        let meter = Arc::new(Meter::new(rates));
        self.0.insert(key, meter.clone());
        meter
    }
}

impl Meter {
    fn new(rates: Rates) -> Self {
        let requests = NonZeroU32::new(rates.requests).map(|rate| {
            let burst = match rates.burst {
                0 => rate.saturating_mul(ten()),
                burst => NonZeroU32::new(burst).unwrap_or(rate),
            };
            RateLimiter::direct(Quota::per_second(rate).allow_burst(burst))
        });
        let bandwidth = u32::try_from(rates.bandwidth.bytes()).unwrap_or(u32::MAX);
        let bandwidth =
            NonZeroU32::new(bandwidth).map(|rate| RateLimiter::direct(Quota::per_second(rate)));
        Self { rates, requests, bandwidth, uploads: AtomicU32::new(0) }
    }
}

fn ten() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(BURST_SECONDS - 1)
}

impl Pass {
    fn add(&mut self, meter: Arc<Meter>, is_upload: bool) -> Result<(), TooMuch> {
        if let Some(Err(early)) = meter.requests.as_ref().map(RateLimiter::check) {
            return Err(TooMuch(early.wait_time_from(DefaultClock::default().now())));
        }
        let most = meter.rates.uploads;
        if is_upload && most > 0 {
            let one_more = |now: u32| (now < most).then_some(now + 1);
            meter
                .uploads
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
                .map_err(|_| TooMuch(AFTER_AN_UPLOAD))?;
            self.uploads.push(Arc::new(Upload(meter.clone())));
        }
        if meter.bandwidth.is_some() {
            self.meters.push(meter);
        }
        Ok(())
    }

    /// Whether bytes have to be waited for.
    pub(crate) fn is_paced(&self) -> bool {
        !self.meters.is_empty()
    }

    /// Waits until so many bytes may be sent or received.
    pub(crate) async fn take(&self, bytes: usize) {
        for limiter in self.meters.iter().filter_map(|meter| meter.bandwidth.as_ref()) {
            let mut left = u32::try_from(bytes).unwrap_or(u32::MAX);
            while let Some(wanted) = NonZeroU32::new(left) {
                // No more at a time than a second brings.
                match limiter.until_n_ready(wanted).await {
                    Ok(()) => break,
                    Err(most) => {
                        let Some(most) = NonZeroU32::new(most.0) else { break };
                        let _ = limiter.until_n_ready(most).await;
                        left -= most.get().min(left);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(caller: Rates, repository: Rates) -> Limits {
        Limits { caller, repository, ..Limits::default() }
    }

    #[test]
    fn requests_beyond_the_burst_wait() {
        let consumption = Consumption::new();
        let limits = limits(Rates { requests: 1, burst: 3, ..Rates::default() }, Rates::default());
        let admit = |name: &str| {
            consumption.admit(&limits, || name.to_owned(), Some("app"), false).map(|_| ())
        };
        for _ in 0..3 {
            admit("alice").unwrap();
        }
        let TooMuch(wait) = admit("alice").unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        admit("bob").unwrap();
    }

    #[test]
    fn uploads_are_counted_while_they_last() {
        let consumption = Consumption::new();
        let limits = limits(Rates::default(), Rates { uploads: 2, ..Rates::default() });
        let admit = |repository: &str| {
            consumption.admit(&limits, || unreachable!(), Some(repository), true)
        };
        let (first, _second) = (admit("app").unwrap(), admit("app").unwrap());
        assert!(admit("app").is_err());
        admit("other").unwrap();
        drop(first);
        admit("app").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_counted_where_nothing_is_limited() {
        let consumption = Consumption::new();
        let limits = limits(Rates::default(), Rates::default());
        let pass = consumption.admit(&limits, || unreachable!(), Some("app"), true).unwrap();
        assert!(!pass.is_paced());
        pass.take(usize::MAX).await;
    }
}
