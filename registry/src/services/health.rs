use std::sync::atomic::{AtomicU32, Ordering};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Registry, RegistryError};

/// How the storage has done lately.
#[derive(Debug, Default)]
pub(crate) struct StorageHealth {
    failures_in_a_row: AtomicU32,
}

impl Registry {
    /// Whether the database answers and the storage has not failed its checks too often in a row.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`], with what was said.
    pub async fn ready(&self) -> Result<(), RegistryError> {
        self.metadata.ping().await?;
        let failures = self.health.failures_in_a_row.load(Ordering::Relaxed);
        if failures >= self.config().health.storagedriver.threshold.max(1) {
            let cause = format!("the storage failed {failures} checks in a row");
            return Err(RegistryError::Unavailable { cause });
        }
        Ok(())
    }

    /// Checks the storage at the configured interval, until `stop`.
    pub(super) async fn watch_storage(&self, stop: CancellationToken) {
        loop {
            let settings = self.config().health.storagedriver.clone();
            if settings.enabled {
                self.check_storage().await;
            } else {
                self.health.failures_in_a_row.store(0, Ordering::Relaxed);
            }
            tokio::select! {
                () = tokio::time::sleep(settings.interval.get()) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn check_storage(&self) {
        match self.blobs.check().await {
            Ok(()) => {
                if self.health.failures_in_a_row.swap(0, Ordering::Relaxed) > 0 {
                    info!("the storage can be used again");
                }
            }
            Err(error) => {
                let before = self.health.failures_in_a_row.fetch_add(1, Ordering::Relaxed);
                warn!(%error, failures = before + 1, "the storage failed its check");
            }
        }
    }
}
