use std::sync::Arc;

use berth_oci::{Reference, RepositoryName};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::manifests::Key;
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

    /// The references, each with what it named when it was last looked up.
    pub(super) fn of(&self, references: Vec<ManifestKey>) -> Vec<Key> {
        let known = |key: ManifestKey| {
            let known = self.manifests.get(&key);
            let (repository, reference) = key;
            Key { repository, reference, known }
        };
        references.into_iter().map(known).collect()
    }

    /// Keeps what has been found anew.
    pub(super) fn keep(&self, keys: &[Key], found: &[Option<Arc<ManifestRecord>>]) {
        for (key, found) in keys.iter().zip(found) {
            let Some(found) = found else { continue };
            if key.known.as_ref().is_none_or(|known| !Arc::ptr_eq(known, found)) {
                // Both clones count a reference and allocate nothing.
                let reference = (key.repository.clone(), key.reference.clone());
                self.manifests.insert(reference, Arc::clone(found));
            }
        }
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
