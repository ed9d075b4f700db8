use std::time::{Duration, SystemTime};

use berth_metadata::Job;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{Registry, RegistryError};

/// How often the events that wait are counted.
const INTERVAL: Duration = Duration::from_secs(10);

/// How many events one transaction drops.
const ROUND: u32 = 5000;

impl Registry {
    /// Counts the events that wait, for the metrics, and drops those that have waited too long or
    /// are too many, until `stop`.
    pub(super) async fn keep_event_limits(&self, stop: &CancellationToken) {
        loop {
            let look = async {
                self.count_pending_events().await?;
                self.as_job(Job::EventLimits, Duration::ZERO, self.drop_events(stop)).await
            };
            if let Err(error) = look.await {
                warn!(%error, cause = error.cause(), "the events that wait could not be counted");
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn count_pending_events(&self) -> Result<(), RegistryError> {
        let pending = self.metadata.pending_events().await?;
        for endpoint in &self.notifications.endpoints {
            let count = pending.iter().find(|(name, _)| **name == *endpoint.name);
            let count = count.map_or(0, |(_, count)| *count);
            self.notifications.metrics.pending(&endpoint.name, count);
        }
        Ok(())
    }

    async fn drop_events(&self, stop: &CancellationToken) -> Result<(), RegistryError> {
        self.drop_old_events(stop).await?;
        let most = u64::from(self.config().notifications.events.maxpending);
        for (endpoint, count) in self.metadata.pending_events().await? {
            let mut excess = count.saturating_sub(most);
            while excess > 0 && !stop.is_cancelled() {
                let round = u32::try_from(excess).unwrap_or(ROUND).min(ROUND);
                let dropped = self.metadata.trim_events(&endpoint, round).await?;
                self.notifications.metrics.dropped(&endpoint, "number", dropped);
                warn!(
                    endpoint,
                    dropped,
                    "events were dropped: more of them wait than notifications.events.maxpending"
                );
                // Fewer than there were: the endpoint has taken some meanwhile.
                excess = if dropped < u64::from(round) { 0 } else { excess - dropped };
            }
        }
        Ok(())
    }

    async fn drop_old_events(&self, stop: &CancellationToken) -> Result<(), RegistryError> {
        let keep = self.config().notifications.events.keep.get();
        // Ages are told by the clock that stamped the events.
        let now = self.metadata.now().await?;
        let before = now.checked_sub(keep).unwrap_or(SystemTime::UNIX_EPOCH);
        while !stop.is_cancelled() {
            let expired = self.metadata.expire_events(before, ROUND).await?;
            for (endpoint, dropped) in &expired {
                self.notifications.metrics.dropped(endpoint, "age", *dropped);
                warn!(
                    endpoint,
                    dropped,
                    "events were dropped: they waited longer than notifications.events.keep"
                );
            }
            let dropped: u64 = expired.iter().map(|(_, count)| count).sum();
            if dropped < u64::from(ROUND) {
                break;
            }
        }
        Ok(())
    }
}
