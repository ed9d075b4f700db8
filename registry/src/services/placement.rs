//! Recording bytes that are in their place, where others like them may be under removal.

use std::time::{Duration, Instant};

use berth_metadata::lifecycle::{MUST_LOOK, Removal};
use berth_metadata::{BlobRecord, FinishedUpload, RecordedUpload};
use berth_storage_backends::PlacedBlob;
use tokio::time::sleep;

use crate::{Registry, RegistryError};

/// How often a push looks whether a removal is over.
const POLL: Duration = Duration::from_millis(20);

/// How long a push waits for that.
const PATIENCE: Duration = Duration::from_secs(30);

impl Registry {
    /// Records a blob whose bytes were put into their place at `placed_at`: they are there when this
    /// returns, whatever was being removed meanwhile.
    pub(crate) async fn record(
        &self,
        mut finished: FinishedUpload,
        placed: &dyn PlacedBlob,
        placed_at: Instant,
    ) -> Result<(), RegistryError> {
        let mut placed_at = placed_at;
        let end = placed_at + PATIENCE + MUST_LOOK;
        loop {
            if placed_at.elapsed() > MUST_LOOK {
                // A removal of meanwhile may be forgotten by now.
                placed.place_again().await?;
            }
            match self.metadata.finish_upload(finished.clone()).await? {
                RecordedUpload::Linked => {
                    placed.recorded();
                    return Ok(());
                }
                RecordedUpload::SessionGone => return Err(RegistryError::UploadUnknown),
                RecordedUpload::Unsure => {}
            }
            finished.seen = self.await_removal(&finished.blob).await?;
            placed_at = Instant::now();
            placed.place_again().await?;
            if Instant::now() > end {
                return Err(still_removing());
            }
        }
    }

    /// Waits until nobody is removing bytes like these, and tells which removal was the last.
    async fn await_removal(&self, blob: &BlobRecord) -> Result<Option<u64>, RegistryError> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.metadata.removal(&blob.digest, &blob.location).await? {
                None | Some(Removal::Waiting) => return Ok(None),
                Some(Removal::Failed { round } | Removal::Gone { round }) => {
                    return Ok(Some(round));
                }
                Some(Removal::Running { .. }) if Instant::now() > end => {
                    return Err(still_removing());
                }
                Some(Removal::Running { .. }) => sleep(POLL).await,
            }
        }
    }
}

fn still_removing() -> RegistryError {
    let cause = "the removal of a deleted blob with the same digest does not end".to_owned();
    RegistryError::Unavailable { cause }
}
