//! What commands run on.

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};

/// Threads for file operations. More of them wait for the same disk, and each keeps memory of its own.
const BLOCKING_THREADS: usize = 64;

/// On all processors.
pub(super) fn start() -> Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .context("the runtime cannot be started")
}
