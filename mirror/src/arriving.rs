use std::fmt;
use std::fs::File;
use std::sync::Arc;

use berth_oci::Digest;
use tokio::sync::watch;

use crate::MirrorError;

/// A blob on its way from upstream: the file that its bytes go into, and how far they are.
///
/// Readers follow at their own pace, from the file, so that none holds the fetch up and no memory is
/// filled by the difference.
#[derive(Clone)]
pub struct Arriving {
    /// The blob.
    pub digest: Digest,
    /// The number of its bytes, if upstream has said it.
    pub size: Option<u64>,
    /// Where they are written. It stays readable until the last reader is gone.
    pub file: Arc<File>,
    /// How far they are.
    pub progress: watch::Receiver<Progress>,
}

/// How far a blob is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// How many bytes are in the file.
    pub written: u64,
    /// What is known of them.
    pub state: Arrival,
}

/// What is known of a blob that arrives.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// More is to come, or is looked at.
    Coming,
    /// All is there, and it is what its digest says.
    Verified,
    /// No more will come, or what has come is something else.
    Failed(MirrorError),
}

impl Progress {
    /// How far a blob is of which nothing has come.
    pub fn nothing() -> Self {
        Self { written: 0, state: Arrival::Coming }
    }

    /// How many bytes a reader may have. The last one is held back until it is known that they are the
    /// right ones, so that nobody takes others for a whole blob.
    pub fn readable(&self, size: Option<u64>) -> u64 {
        match (&self.state, size) {
            (Arrival::Verified, _) => self.written,
            (_, Some(size)) => self.written.min(size.saturating_sub(1)),
            // The end of a body of unknown length is told by itself.
            (_, None) => self.written,
        }
    }
}

impl fmt::Debug for Arriving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arriving")
            .field("digest", &self.digest)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_waits_until_the_blob_is_verified() {
        let progress = |written, state| Progress { written, state };
        assert_eq!(progress(5, Arrival::Coming).readable(Some(10)), 5);
        assert_eq!(progress(10, Arrival::Coming).readable(Some(10)), 9);
        assert_eq!(progress(10, Arrival::Verified).readable(Some(10)), 10);
        assert_eq!(progress(0, Arrival::Coming).readable(Some(0)), 0);
        assert_eq!(progress(10, Arrival::Coming).readable(None), 10);
    }
}
