use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::{Duration, SystemTime};

use berth_metadata::CollectionBacklog;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry as Exposition, Unit};

/// What the collection of garbage did, and how far behind it is.
#[derive(Debug, Default)]
pub(crate) struct CollectionMetrics {
    cycles: Counter<u64, AtomicU64>,
    seconds: Counter<f64, AtomicU64>,
    pub(crate) errors: Counter<u64, AtomicU64>,
    pub(crate) unlinked: Counter<u64, AtomicU64>,
    pub(crate) removed: Counter<u64, AtomicU64>,
    pub(crate) freed_bytes: Counter<u64, AtomicU64>,
    pub(crate) failed: Counter<u64, AtomicU64>,
    link_age: Gauge<i64, AtomicI64>,
    garbage_age: Gauge<i64, AtomicI64>,
}

impl CollectionMetrics {
    pub(crate) fn register(exposition: &mut Exposition) -> Self {
        let new = Self::default();
        exposition.register("gc_cycles", "Collections of garbage that ended", new.cycles.clone());
        exposition.register_with_unit(
            "gc_cycle",
            "Time that collections took, rests included",
            Unit::Seconds,
            new.seconds.clone(),
        );
        exposition.register("gc_errors", "Collections that broke off", new.errors.clone());
        exposition.register("gc_unlinked", "Links that were taken away", new.unlinked.clone());
        exposition.register("gc_removed_blobs", "Blobs that were removed", new.removed.clone());
        exposition.register_with_unit(
            "gc_freed",
            "Bytes of removed blobs",
            Unit::Bytes,
            new.freed_bytes.clone(),
        );
        exposition.register(
            "gc_failed_removals",
            "Times that the store did not remove a blob",
            new.failed.clone(),
        );
        exposition.register_with_unit(
            "gc_link_queue_age",
            "How long the most overdue link had waited for its review after the last collection",
            Unit::Seconds,
            new.link_age.clone(),
        );
        exposition.register_with_unit(
            "gc_removal_queue_age",
            "How long the most overdue blob had waited for its removal after the last collection",
            Unit::Seconds,
            new.garbage_age.clone(),
        );
        new
    }

    /// A collection has ended, and this is what it left.
    pub(crate) fn cycle_done(&self, took: Duration, left: CollectionBacklog, now: SystemTime) {
        self.cycles.inc();
        self.seconds.inc_by(took.as_secs_f64());
        let age = |since: Option<SystemTime>| {
            let age = since.and_then(|since| now.duration_since(since).ok()).unwrap_or_default();
            i64::try_from(age.as_secs()).unwrap_or(i64::MAX)
        };
        self.link_age.set(age(left.link));
        self.garbage_age.set(age(left.garbage));
    }
}
