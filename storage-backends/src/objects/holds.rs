use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use berth_oci::UploadId;

use crate::PlacedBlob;

/// Which uploads are being written to by this process, and by which writer.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    holders: HashMap<UploadId, u64>,
    /// How many writers there have been.
    writers: u64,
}

/// An upload held by one writer. Dropping it lets go.
#[derive(Debug)]
pub(super) struct Hold {
    holds: Holds,
    upload: UploadId,
    writer: u64,
}

impl Holds {
    /// Takes hold of an upload; `None` while another writer has it.
    pub(super) fn take(&self, upload: UploadId) -> Option<Hold> {
        let mut state = self.state();
        if state.holders.contains_key(&upload) {
            return None;
        }
        state.writers += 1;
        let writer = state.writers;
        state.holders.insert(upload, writer);
        Some(Hold { holds: self.clone(), upload, writer })
    }

    /// Whether a writer has hold of an upload.
    pub(super) fn is_held(&self, upload: UploadId) -> bool {
        self.state().holders.contains_key(&upload)
    }

    /// Makes whoever holds the upload lose it.
    pub(super) fn void(&self, upload: UploadId) {
        self.state().holders.remove(&upload);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// Whether the upload has not been given back meanwhile.
    pub(super) fn is_valid(&self) -> bool {
        self.holds.state().holders.get(&self.upload) == Some(&self.writer)
    }
}

/// Each upload has a name of its own: nobody takes its bytes away.
impl PlacedBlob for Hold {}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.holds.state();
        if state.holders.get(&self.upload) == Some(&self.writer) {
            state.holders.remove(&self.upload);
        }
    }
}
