use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry as Exposition;

/// Counters of the events that others are told of. Endpoints are as many as the configuration names.
#[derive(Clone, Debug)]
pub(crate) struct EventMetrics {
    recorded: Family<ActionLabel, Counter>,
    delivered: Family<EndpointLabel, Counter>,
    failures: Family<EndpointLabel, Counter>,
    pending: Family<EndpointLabel, Gauge<i64, AtomicI64>>,
    dropped: Family<DropLabels, Counter>,
    /// Pulls that never came into the database.
    pub(crate) unrecorded: Counter<u64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabel {
    action: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabel {
    endpoint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    endpoint: String,
    reason: &'static str,
}

fn label(endpoint: &str) -> EndpointLabel {
    EndpointLabel { endpoint: endpoint.to_owned() }
}

impl EventMetrics {
    pub(super) fn register(exposition: &mut Exposition) -> Self {
        let metrics = Self {
            recorded: Family::default(),
            delivered: Family::default(),
            failures: Family::default(),
            pending: Family::default(),
            dropped: Family::default(),
            unrecorded: Counter::default(),
        };
        exposition.register(
            "events_recorded",
            "Events that endpoints are to be told of, by what was done",
            metrics.recorded.clone(),
        );
        exposition.register(
            "events_delivered",
            "Events that an endpoint has taken",
            metrics.delivered.clone(),
        );
        exposition.register(
            "event_delivery_failures",
            "Tries to tell an endpoint of an event that failed",
            metrics.failures.clone(),
        );
        exposition.register(
            "events_pending",
            "Events that wait for an endpoint, as counted every few seconds",
            metrics.pending.clone(),
        );
        exposition.register(
            "events_dropped",
            "Events that an endpoint was never told of, by the limit that they met",
            metrics.dropped.clone(),
        );
        exposition.register(
            "events_unrecorded",
            "Pulls that were not recorded because the database did not keep up",
            metrics.unrecorded.clone(),
        );
        metrics
    }

    pub(crate) fn recorded(&self, action: &'static str) {
        self.recorded.get_or_create(&ActionLabel { action }).inc();
    }

    pub(crate) fn delivered(&self, endpoint: &str) {
        self.delivered.get_or_create(&label(endpoint)).inc();
    }

    pub(crate) fn failed(&self, endpoint: &str) {
        self.failures.get_or_create(&label(endpoint)).inc();
    }

    pub(crate) fn pending(&self, endpoint: &str, count: u64) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.pending.get_or_create(&label(endpoint)).set(count);
    }

    pub(crate) fn dropped(&self, endpoint: &str, reason: &'static str, count: u64) {
        let labels = DropLabels { endpoint: endpoint.to_owned(), reason };
        self.dropped.get_or_create(&labels).inc_by(count);
    }
}
