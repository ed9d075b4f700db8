use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::{Registry as Exposition, Unit};

/// Counters of what mirrors do.
#[derive(Debug, Default)]
pub(crate) struct MirrorMetrics {
    /// Manifests and blobs that were here.
    pub(crate) hits: Counter,
    /// Manifests and blobs that an upstream was asked for.
    pub(crate) misses: Counter,
    /// Requests that waited for what another one had fetched.
    pub(crate) coalesced: Counter,
    /// Manifests that were served although their upstream could not be asked.
    pub(crate) stale: Counter,
    /// Bytes of blobs that came from upstreams.
    pub(crate) fetched_bytes: Counter<u64, AtomicU64>,
}

impl MirrorMetrics {
    pub(super) fn register(exposition: &mut Exposition) -> Self {
        let metrics = Self::default();
        for (name, help, counter) in [
            ("mirror_hits", "Manifests and blobs of mirrors that were here", &metrics.hits),
            ("mirror_misses", "Manifests and blobs that upstreams were asked for", &metrics.misses),
            (
                "mirror_coalesced",
                "Requests to mirrors that shared what another one fetched",
                &metrics.coalesced,
            ),
            (
                "mirror_stale",
                "Manifests of mirrors served although their upstream could not be asked",
                &metrics.stale,
            ),
        ] {
            exposition.register(name, help, counter.clone());
        }
        exposition.register_with_unit(
            "mirror_fetched",
            "Bytes of blobs that came from upstreams",
            Unit::Bytes,
            metrics.fetched_bytes.clone(),
        );
        metrics
    }
}
