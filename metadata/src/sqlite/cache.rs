use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use berth_oci::{Digest, Reference, RepositoryName};
use quick_cache::sync::Cache as BoundedCache;
use quick_cache::{DefaultHashBuilder, Weighter};

use super::blobs::CachedBlob;
use crate::ManifestRecord;

/// Slots that keys are spread over. Two keys of one slot go stale together, which costs a read.
const EPOCHS: usize = 4096;

/// What an entry costs beside its text and payload: key, value, table and list places, the
/// allocations' own. Measured roughly, rounded up.
const OVERHEAD: u64 = 512;

/// What repeated reads of manifests and blobs are answered from.
///
/// Coherent with the writes of this process, the only one that may write. Each key has a slot
/// with an epoch. A reader notes the epoch before it asks the database and stores it with the
/// answer; the writer moves the epoch on after a commit that changed the answer and before it
/// acknowledges the commit. An entry of another epoch is a miss, so an answer that was read before
/// a change can never be served after it, in whichever order the two reach the cache.
#[derive(Debug)]
pub(super) struct Cache {
    epochs: Box<[AtomicU64]>,
    hasher: DefaultHashBuilder,
    manifests: BoundedCache<ManifestKey, Stamped<Arc<ManifestRecord>>, Weight>,
    blobs: BoundedCache<BlobKey, Stamped<CachedBlob>, Weight>,
}

/// The epoch of a key before the database was asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch(u64);

type ManifestKey = (RepositoryName, Reference);
type BlobKey = (RepositoryName, Digest);

#[derive(Clone, Debug)]
struct Stamped<T> {
    epoch: Epoch,
    value: T,
}

impl Cache {
    pub(super) fn new(bytes: u64) -> Self {
        // Blob records are small: a quarter holds tens of thousands of them.
        let blobs = bytes / 4;
        Self {
            epochs: (0..EPOCHS).map(|_| AtomicU64::new(0)).collect(),
            hasher: DefaultHashBuilder::default(),
            manifests: bounded(bytes - blobs, 4096),
            blobs: bounded(blobs, OVERHEAD),
        }
    }

    pub(super) fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Arc<ManifestRecord>, Epoch> {
        let epoch = self.manifest_epoch(repository, reference);
        // Both clones count a reference and allocate nothing.
        match self.manifests.get(&(repository.clone(), reference.clone())) {
            Some(entry) if entry.epoch == epoch => Ok(entry.value),
            _ => Err(epoch),
        }
    }

    pub(super) fn keep_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        epoch: Epoch,
        value: &Arc<ManifestRecord>,
    ) {
        let entry = Stamped { epoch, value: Arc::clone(value) };
        self.manifests.insert((repository.clone(), reference.clone()), entry);
    }

    pub(super) fn manifest_changed(&self, repository: &RepositoryName, reference: &Reference) {
        self.move_on((repository, reference));
    }

    /// So many have changed that they are not named.
    pub(super) fn all_manifests_changed(&self) {
        for epoch in &self.epochs {
            epoch.fetch_add(1, Ordering::Release);
        }
    }

    pub(super) fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<CachedBlob, Epoch> {
        let epoch = self.epoch(digest);
        match self.blobs.get(&(repository.clone(), *digest)) {
            Some(entry) if entry.epoch == epoch => Ok(entry.value),
            _ => Err(epoch),
        }
    }

    pub(super) fn keep_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        epoch: Epoch,
        value: &CachedBlob,
    ) {
        let entry = Stamped { epoch, value: value.clone() };
        self.blobs.insert((repository.clone(), *digest), entry);
    }

    /// A blob's record is the same in all repositories, so all of them share its epoch.
    pub(super) fn blob_changed(&self, digest: &Digest) {
        self.move_on(digest);
    }

    fn manifest_epoch(&self, repository: &RepositoryName, reference: &Reference) -> Epoch {
        self.epoch((repository, reference))
    }

    fn epoch(&self, key: impl std::hash::Hash) -> Epoch {
        Epoch(self.slot(key).load(Ordering::Acquire))
    }

    fn move_on(&self, key: impl std::hash::Hash) {
        self.slot(key).fetch_add(1, Ordering::Release);
    }

    fn slot(&self, key: impl std::hash::Hash) -> &AtomicU64 {
        // Truncation is harmless: only the low bits are used.
        #[allow(clippy::cast_possible_truncation)]
        let hash = self.hasher.hash_one(key) as usize;
        &self.epochs[hash % EPOCHS]
    }
}

fn bounded<K: Eq + std::hash::Hash, V: Clone>(
    bytes: u64,
    typical_weight: u64,
) -> BoundedCache<K, V, Weight>
where
    Weight: Weighter<K, V>,
{
    let items = usize::try_from(bytes / typical_weight).unwrap_or(usize::MAX);
    BoundedCache::with_weighter(items, bytes, Weight)
}

/// Weighs entries in bytes.
#[derive(Clone, Copy, Debug)]
struct Weight;

impl Weighter<ManifestKey, Stamped<Arc<ManifestRecord>>> for Weight {
    fn weight(&self, key: &ManifestKey, entry: &Stamped<Arc<ManifestRecord>>) -> u64 {
        let text = key.0.as_str().len() + entry.value.media_type.len();
        OVERHEAD + (text + entry.value.payload.len()) as u64
    }
}

impl Weighter<BlobKey, Stamped<CachedBlob>> for Weight {
    fn weight(&self, key: &BlobKey, entry: &Stamped<CachedBlob>) -> u64 {
        OVERHEAD + (key.0.as_str().len() + entry.value.blob.location.0.len()) as u64
    }
}
