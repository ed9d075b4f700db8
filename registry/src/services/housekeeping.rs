use std::time::{Duration, SystemTime};

use berth_metadata::BlobLocation;
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Registry, RegistryError};

/// How many sessions are looked at in one go.
const ROUND: u32 = 256;

/// Bytes of an upload that no session knows are given back when they are this old. A request that
/// brings a blob whole writes such bytes while it lasts.
const ORPHAN_AGE: Duration = Duration::from_secs(60 * 60);

impl Registry {
    /// Gives back what abandoned uploads hold, at the start and then at the configured interval,
    /// until `stop`.
    pub(super) async fn keep_house(&self, stop: CancellationToken) {
        loop {
            let purging = self.config().storage.maintenance.uploadpurging.clone();
            if purging.enabled
                && let Err(error) = self.purge_uploads(purging.age.get(), purging.dryrun).await
            {
                warn!(%error, cause = error.cause(), "abandoned uploads could not be purged");
            }
            tokio::select! {
                () = tokio::time::sleep(purging.interval.get()) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn purge_uploads(&self, age: Duration, dry_run: bool) -> Result<(), RegistryError> {
        let now = SystemTime::now();
        let before = now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        loop {
            let stale = self.metadata.stale_uploads(before, ROUND).await?;
            for session in &stale {
                info!(upload = %session.id, repository = %session.repository, bytes = session.offset, dry_run, "purging an abandoned upload");
                if !dry_run {
                    // One that became a blob meanwhile is no upload to give back.
                    if self.metadata.delete_upload(&session.repository, session.id).await? {
                        self.blobs.abort_upload(&session.handle).await?;
                    }
                }
            }
            if dry_run || stale.len() < ROUND as usize {
                break;
            }
        }
        self.purge_orphans(now, dry_run).await
    }

    /// Bytes that a crash left before any session named them.
    async fn purge_orphans(&self, now: SystemTime, dry_run: bool) -> Result<(), RegistryError> {
        let before = now.checked_sub(ORPHAN_AGE).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut stale = self.blobs.stale_uploads(before);
        while let Some(upload) = stale.next().await {
            let upload = upload?;
            if self.metadata.upload_exists(upload.id).await? {
                continue;
            }
            if let Some(location) = upload.location
                && self.metadata.blob_at(&BlobLocation(location)).await?
            {
                continue;
            }
            info!(upload = %upload.id, dry_run, "purging upload bytes that no session names");
            if !dry_run {
                self.blobs.abort_upload(&upload.handle).await?;
            }
        }
        Ok(())
    }
}
