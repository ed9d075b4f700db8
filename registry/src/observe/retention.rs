use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::SystemTime;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry as Exposition, Unit};

/// What the retention policies did.
#[derive(Debug, Default)]
pub(crate) struct RetentionMetrics {
    runs: Counter<u64, AtomicU64>,
    pub(crate) errors: Counter<u64, AtomicU64>,
    pub(crate) deleted_tags: Counter<u64, AtomicU64>,
    pub(crate) deleted_manifests: Counter<u64, AtomicU64>,
    last_run: Gauge<i64, AtomicI64>,
}

impl RetentionMetrics {
    pub(crate) fn register(exposition: &mut Exposition) -> Self {
        let new = Self::default();
        exposition.register(
            "retention_runs",
            "Runs of the retention policies that ended, dry ones aside",
            new.runs.clone(),
        );
        exposition.register(
            "retention_errors",
            "Runs of the retention policies that broke off",
            new.errors.clone(),
        );
        exposition.register(
            "retention_deleted_tags",
            "Tags that no retention policy kept",
            new.deleted_tags.clone(),
        );
        exposition.register(
            "retention_deleted_manifests",
            "Untagged manifests that were deleted when their time was over",
            new.deleted_manifests.clone(),
        );
        exposition.register_with_unit(
            "retention_last_run",
            "When a run of the retention policies ended last, in seconds since 1970; 0 before the first",
            Unit::Seconds,
            new.last_run.clone(),
        );
        new
    }

    /// A run has ended.
    pub(crate) fn run_done(&self) {
        self.runs.inc();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.last_run.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    }
}
