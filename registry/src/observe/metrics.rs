use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry as Exposition, Unit};

use super::EventMetrics;
use super::collection::CollectionMetrics;
use super::mirror::MirrorMetrics;
use super::retention::RetentionMetrics;
use super::scrub::ScrubMetrics;
use super::tls::TlsMetrics;

/// The seconds that separate the buckets of request durations.
const DURATION_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Counters of everything that is done. Never labelled by repository: their number has no
/// bound.
#[derive(Debug)]
pub(crate) struct Metrics {
    exposition: Exposition,
    requests: Family<RequestLabels, Counter>,
    durations: Family<ActionLabel, Histogram, fn() -> Histogram>,
    pub(crate) received_bytes: Counter<u64, AtomicU64>,
    pub(crate) in_flight: Gauge<i64, AtomicI64>,
    pub(crate) connections: Gauge<i64, AtomicI64>,
    pub(crate) collection: CollectionMetrics,
    pub(crate) retention: RetentionMetrics,
    pub(crate) mirror: MirrorMetrics,
    pub(crate) scrub: ScrubMetrics,
    pub(crate) events: EventMetrics,
    pub(crate) tls: TlsMetrics,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    action: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabel {
    action: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut exposition = Exposition::with_prefix("berth");
        let requests = Family::default();
        let new_histogram: fn() -> Histogram = || Histogram::new(DURATION_BUCKETS);
        let durations = Family::new_with_constructor(new_histogram);
        let (received_bytes, in_flight, connections) =
            (Counter::default(), Gauge::default(), Gauge::default());
        exposition.register(
            "http_requests",
            "Requests answered, by action and status",
            requests.clone(),
        );
        exposition.register_with_unit(
            "http_request_duration",
            "Time from the end of the request's head to the response's head",
            Unit::Seconds,
            durations.clone(),
        );
        exposition.register_with_unit(
            "http_received",
            "Bytes of request bodies",
            Unit::Bytes,
            received_bytes.clone(),
        );
        exposition.register("http_in_flight", "Requests being answered", in_flight.clone());
        exposition.register("http_connections", "Open connections", connections.clone());
        let collection = CollectionMetrics::register(&mut exposition);
        let retention = RetentionMetrics::register(&mut exposition);
        let mirror = MirrorMetrics::register(&mut exposition);
        let scrub = ScrubMetrics::register(&mut exposition);
        let events = EventMetrics::register(&mut exposition);
        let tls = TlsMetrics::register(&mut exposition);
        Self {
            exposition,
            requests,
            durations,
            received_bytes,
            in_flight,
            connections,
            collection,
            retention,
            mirror,
            scrub,
            events,
            tls,
        }
    }

    pub(crate) fn record(&self, action: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { action, status }).inc();
        self.durations.get_or_create(&ActionLabel { action }).observe(took.as_secs_f64());
    }

    /// Everything in the OpenMetrics text format.
    pub(crate) fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.exposition)?;
        Ok(text)
    }
}
