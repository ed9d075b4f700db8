use std::sync::Arc;

use berth_oci::{Reference, RepositoryName};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::ManifestRecord;

/// What an entry costs beside its text and payload, roughly.
const OVERHEAD: u64 = 512;

/// A typical entry, to size the tables with.
const TYPICAL: u64 = 4096;

/// What references named when they were last looked up.
///
/// Never an answer by itself: the server is asked every time what a reference names, and only the
/// payload, which a digest stands for whole, need not come again.
#[derive(Debug)]
pub(super) struct Known {
    manifests: Cache<ManifestKey, Arc<ManifestRecord>, Weight>,
}

type ManifestKey = (RepositoryName, Reference);

impl Known {
    pub(super) fn new(bytes: u64) -> Self {
        let entries = usize::try_from(bytes / TYPICAL).unwrap_or(usize::MAX);
        Self { manifests: Cache::with_weighter(entries, bytes, Weight) }
    }

    pub(super) fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Option<Arc<ManifestRecord>> {
        // Both clones count a reference and allocate nothing.
        self.manifests.get(&(repository.clone(), reference.clone()))
    }

    pub(super) fn keep(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        record: &Arc<ManifestRecord>,
    ) {
        self.manifests.insert((repository.clone(), reference.clone()), Arc::clone(record));
    }
}

/// Weighs entries in bytes.
#[derive(Clone, Copy, Debug)]
struct Weight;

impl Weighter<ManifestKey, Arc<ManifestRecord>> for Weight {
    fn weight(&self, key: &ManifestKey, record: &Arc<ManifestRecord>) -> u64 {
        let text = key.0.as_str().len() + record.media_type.len();
        OVERHEAD + (text + record.payload.len()) as u64
    }
}
