use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry as Exposition, Unit};

/// The certificate in service, and what became of handshakes.
#[derive(Debug, Default)]
pub(crate) struct TlsMetrics {
    reloads: Family<OutcomeLabel, Counter<u64, AtomicU64>>,
    handshakes: Family<OutcomeLabel, Counter<u64, AtomicU64>>,
    /// A family, so that a server without TLS does not seem to have a certificate of 1970.
    expiry: Family<[(&'static str, &'static str); 0], Gauge<i64, AtomicI64>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

impl TlsMetrics {
    pub(crate) fn register(exposition: &mut Exposition) -> Self {
        let new = Self::default();
        exposition.register(
            "tls_reloads",
            "Replacements of the certificate, and those that were refused",
            new.reloads.clone(),
        );
        exposition.register(
            "tls_handshakes",
            "Connections by what became of their handshake",
            new.handshakes.clone(),
        );
        exposition.register_with_unit(
            "tls_certificate_expiry_timestamp",
            "When the certificate in service expires",
            Unit::Seconds,
            new.expiry.clone(),
        );
        new
    }

    pub(crate) fn reloaded(&self, outcome: &'static str) {
        self.reloads.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    pub(crate) fn handshake(&self, outcome: &'static str) {
        self.handshakes.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    pub(crate) fn expires(&self, at: SystemTime) {
        let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.expiry.get_or_create(&[]).set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }
}
