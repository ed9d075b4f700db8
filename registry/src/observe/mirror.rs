use std::sync::atomic::{AtomicI64, AtomicU64};

use berth_mirror::MirrorStatus;
use berth_oci::RepositoryPrefix;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
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
    /// Bytes of blobs that clients wanted and that no upstream was asked for.
    pub(crate) saved_bytes: Counter<u64, AtomicU64>,
    /// Manifests that went because there was too much.
    pub(crate) evicted: Counter<u64, AtomicU64>,
    kept_bytes: Family<Mirror, Number>,
    requests_left: Family<Upstream, Number>,
    bytes_left: Family<Upstream, Number>,
    rate_limit_left: Family<Upstream, Number>,
    age: Family<Mirror, Number>,
}

type Number = Gauge<i64, AtomicI64>;

/// An upstream of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Upstream {
    prefix: String,
    upstream: String,
}

/// A mirror of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Mirror {
    prefix: String,
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
        exposition.register_with_unit(
            "mirror_saved",
            "Bytes of blobs that clients asked for and that were here, or came for another one",
            Unit::Bytes,
            metrics.saved_bytes.clone(),
        );
        for (name, help, family) in [
            (
                "mirror_budget_requests_left",
                "Requests that the budget of an upstream leaves in this window",
                &metrics.requests_left,
            ),
            (
                "mirror_budget_bytes_left",
                "Bytes that the budget of an upstream leaves in this window",
                &metrics.bytes_left,
            ),
            (
                "mirror_rate_limit_left",
                "Requests that an upstream itself says are left",
                &metrics.rate_limit_left,
            ),
        ] {
            exposition.register(name, help, family.clone());
        }
        exposition.register(
            "mirror_evicted_manifests",
            "Manifests that mirrors let go of because they kept too much",
            metrics.evicted.clone(),
        );
        exposition.register_with_unit(
            "mirror_kept",
            "Bytes of blobs that the repositories of a mirror hold, where that has a limit",
            Unit::Bytes,
            metrics.kept_bytes.clone(),
        );
        exposition.register_with_unit(
            "mirror_age",
            "How long ago an upstream of a mirror last gave what it was asked for",
            Unit::Seconds,
            metrics.age.clone(),
        );
        metrics
    }

    /// A mirror that has a limit keeps so much.
    pub(crate) fn kept(&self, prefix: &RepositoryPrefix, bytes: u64) {
        let labels = Mirror { prefix: prefix.to_string() };
        self.kept_bytes.get_or_create(&labels).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Takes over what is known of the mirrors at the moment.
    pub(crate) fn follow(&self, mirrors: Vec<MirrorStatus>) {
        let set =
            |number: &Number, value: u64| number.set(i64::try_from(value).unwrap_or(i64::MAX));
        for MirrorStatus { prefix, age, upstreams } in mirrors {
            for status in upstreams {
                let labels = Upstream { prefix: prefix.clone(), upstream: status.upstream };
                for (family, left) in [
                    (&self.requests_left, status.requests_left),
                    (&self.bytes_left, status.bytes_left),
                    (&self.rate_limit_left, status.rate_limit.map(|limit| limit.remaining)),
                ] {
                    if let Some(left) = left {
                        set(&family.get_or_create(&labels), left);
                    }
                }
            }
            if let Some(age) = age {
                set(&self.age.get_or_create(&Mirror { prefix }), age.as_secs());
            }
        }
    }
}
