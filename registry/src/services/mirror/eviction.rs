//! Letting go of what mirrors have fetched, when it is more than they may keep.

use std::time::Duration;

use berth_metadata::Job;
use berth_mirror::MirrorBound;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{Pace, Registry, RegistryError};

/// How long after a blob has come it is looked whether there is room for it.
const SETTLE: Duration = Duration::from_secs(1);

/// How often it is looked although nothing has come to this process.
const INTERVAL: Duration = Duration::from_secs(60);

/// How many manifests go in one transaction.
const MANIFESTS: u32 = 16;

impl Registry {
    /// Sees to it that no mirror keeps more than it may, until `stop`.
    pub(in crate::services) async fn keep_evicting(&self, stop: CancellationToken) {
        let bounds = self.mirror.bounds();
        if bounds.is_empty() {
            return;
        }
        loop {
            let turn = self.as_job(Job::Evict, Duration::ZERO, async {
                for bound in &bounds {
                    self.evict(bound, &stop).await?;
                }
                Ok(())
            });
            if let Err(error) = turn.await {
                warn!(%error, cause = error.cause(), "what mirrors keep could not be looked at; it is tried again");
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = self.mirror.grown.notified() => tokio::time::sleep(SETTLE).await,
                () = stop.cancelled() => return,
            }
        }
    }

    /// Deletes what was wanted least lately until the mirror keeps no more than it may, and has the collector
    /// let go of the blobs.
    async fn evict(
        &self,
        bound: &MirrorBound,
        stop: &CancellationToken,
    ) -> Result<(), RegistryError> {
        let collection = self.config().storage.maintenance.garbagecollection.clone();
        // Whoever has pulled a manifest may still want its blobs, which are promised for one lease.
        let idle = collection.lease.get() * 2;
        let mut evicted = 0;
        while !stop.is_cancelled() && !self.is_read_only() {
            let kept = self.bytes_below(bound).await?;
            self.metrics.mirror.kept(&bound.prefix, kept);
            if kept <= bound.bytes {
                break;
            }
            let prefix = bound.prefix.to_string();
            match self.metadata.evict_manifests(&prefix, idle, MANIFESTS).await? {
                0 => {
                    debug!(
                        prefix,
                        kept, "a mirror keeps more than it may, all of it wanted lately or pushed"
                    );
                    break;
                }
                count => evicted += count,
            }
            self.let_go_of_links(collection.graceperiod.get()).await?;
        }
        self.metrics.mirror.evicted.inc_by(evicted);
        if evicted > 0 {
            info!(prefix = %bound.prefix, manifests = evicted, "a mirror has made room");
        }
        Ok(())
    }

    async fn bytes_below(&self, bound: &MirrorBound) -> Result<u64, RegistryError> {
        let prefixes = std::slice::from_ref(&bound.prefix);
        let mut usage = self.metadata.usage(prefixes, None).await?;
        if usage.is_empty() {
            self.metadata.count_usage(prefixes).await?;
            usage = self.metadata.usage(prefixes, None).await?;
        }
        Ok(usage.first().map_or(0, |usage| usage.bytes))
    }

    /// Reviews the links that are due, as each collection does.
    async fn let_go_of_links(&self, grace: Duration) -> Result<(), RegistryError> {
        let limit = Pace::Gentle.links();
        loop {
            let reviewed = self.metadata.review_links(limit, grace).await?;
            self.metrics.collection.unlinked.inc_by(reviewed.unlinked);
            if reviewed.kept + reviewed.unlinked < u64::from(limit) {
                return Ok(());
            }
        }
    }
}
