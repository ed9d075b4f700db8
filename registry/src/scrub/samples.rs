use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use berth_metadata::BlobRecord;
use tokio::sync::mpsc;

/// How many blobs may wait to be looked at.
const WAITING: usize = 256;

/// Blobs that were read and are to be looked at once more, a few of all.
#[derive(Debug)]
pub(crate) struct Samples {
    reads: AtomicU32,
    offered: mpsc::Sender<BlobRecord>,
    waiting: Mutex<Option<mpsc::Receiver<BlobRecord>>>,
}

impl Default for Samples {
    fn default() -> Self {
        let (offered, waiting) = mpsc::channel(WAITING);
        Self { reads: AtomicU32::new(0), offered, waiting: Mutex::new(Some(waiting)) }
    }
}

impl Samples {
    /// Notes a read; every so many reads the blob waits to be looked at. Where too many wait it does not.
    pub(super) fn note(&self, blob: &BlobRecord, every: u32) {
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        if every > 0 && read.is_multiple_of(every) {
            // One more would tell little more.
            let _ = self.offered.try_send(blob.clone());
        }
    }

    /// Those that wait; once.
    pub(super) fn take(&self) -> Option<mpsc::Receiver<BlobRecord>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
