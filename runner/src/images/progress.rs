//! What is told to whoever watches.

/// Whoever watches a pull or a push. It is told from several threads.
pub trait Progress: Sync {
    /// A line that stays.
    fn line(&self, text: &str);

    /// How far a layer is. It is named by the first digits of its digest.
    fn layer(&self, layer: &str, step: Step);
}

/// How far a layer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is to be pulled.
    PullingFsLayer,
    /// It waits for others to be pulled.
    Waiting,
    /// So many bytes have come.
    Downloading {
        /// How many.
        done: u64,
        /// Of how many.
        of: u64,
    },
    /// All bytes are there, and are what the digest says.
    DownloadComplete,
    /// It can be mounted.
    PullComplete,
    /// It was there before.
    AlreadyExists,
    /// It is to be pushed.
    Preparing,
    /// So many bytes were sent.
    Pushing {
        /// How many.
        done: u64,
        /// Of how many.
        of: u64,
    },
    /// The registry has it.
    Pushed,
    /// The registry had it before.
    LayerAlreadyExists,
    /// The registry has it in another repository, of this name.
    Mounted(String),
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Progress for Unwatched {
    fn line(&self, _: &str) {}

    fn layer(&self, _: &str, _: Step) {}
}

/// The name by which people know a layer.
pub(super) fn short(digest: &berth_oci::Digest) -> String {
    let mut hex = digest.hex();
    hex.truncate(12);
    hex
}
