use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::{Registry as Exposition, Unit};

/// What looking at the stored bytes has found.
#[derive(Debug, Default)]
pub(crate) struct ScrubMetrics {
    blobs: Counter<u64, AtomicU64>,
    bytes: Counter<u64, AtomicU64>,
    pub(crate) rounds: Counter<u64, AtomicU64>,
    pub(crate) damaged: Counter<u64, AtomicU64>,
    pub(crate) repaired: Counter<u64, AtomicU64>,
}

impl ScrubMetrics {
    pub(crate) fn register(exposition: &mut Exposition) -> Self {
        let new = Self::default();
        exposition.register("scrub_blobs", "Blobs that were read and are good", new.blobs.clone());
        exposition.register_with_unit("scrub", "Bytes of these", Unit::Bytes, new.bytes.clone());
        exposition.register("scrub_rounds", "Rounds over all blobs", new.rounds.clone());
        exposition.register("scrub_damaged", "Blobs found to be damaged", new.damaged.clone());
        exposition.register("scrub_repaired", "Damaged blobs repaired", new.repaired.clone());
        new
    }

    /// A blob of so many bytes is good.
    pub(crate) fn looked_at(&self, bytes: u64) {
        self.blobs.inc();
        self.bytes.inc_by(bytes);
    }
}
