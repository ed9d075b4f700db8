use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use berth_config::UploadPurging;
use berth_metadata::Job;
use berth_oci::Digest;
use berth_storage_backends::StaleUpload;
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{Registry, RegistryError};

/// How many sessions are looked at in one go.
const ROUND: u32 = 256;

impl Registry {
    /// Gives back what abandoned uploads hold, at the start and then at the configured interval,
    /// until `stop`.
    pub(super) async fn keep_house(&self, stop: CancellationToken) {
        loop {
            let purging = self.config().storage.maintenance.uploadpurging.clone();
            if purging.enabled {
                tokio::select! {
                    () = self.purge(&purging) => {}
                    // Half a round is as good as none: the next one finds the rest.
                    () = stop.cancelled() => return,
                }
            }
            tokio::select! {
                () = tokio::time::sleep(purging.interval.get()) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn purge(&self, purging: &UploadPurging) {
        let purged =
            self.as_job(Job::Purge, purging.interval.get(), self.purge_everything(purging)).await;
        if let Err(error) = purged {
            warn!(%error, cause = error.cause(), "abandoned uploads could not be purged");
        }
    }

    async fn purge_everything(&self, purging: &UploadPurging) -> Result<(), RegistryError> {
        // Ages are told by the clock that stamped the sessions.
        let now = self.metadata.now().await?;
        let before = |age: Duration| now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        let dry_run = purging.dryrun;
        let sessions = self.purge_sessions(before(purging.age.get()), dry_run).await?;
        let orphans = self.purge_orphans(before(purging.graceperiod.get()), dry_run).await?;
        match (sessions, orphans) {
            (0, 0) => debug!("there are no abandoned uploads"),
            _ => info!(sessions, orphans, dry_run, "abandoned uploads were purged"),
        }
        Ok(())
    }

    async fn purge_sessions(
        &self,
        before: SystemTime,
        dry_run: bool,
    ) -> Result<usize, RegistryError> {
        let mut count = 0;
        loop {
            let stale = match dry_run {
                true => self.metadata.stale_uploads(before, ROUND).await?,
                false => self.metadata.take_stale_uploads(before, ROUND).await?,
            };
            for session in &stale {
                info!(upload = %session.id, repository = %session.repository, bytes = session.offset, dry_run, "purging an abandoned upload");
                if !dry_run {
                    // Should this fail, nothing names the bytes, and they are found as such.
                    self.blobs.abort_upload(&session.handle).await?;
                }
            }
            count += stale.len();
            if dry_run || stale.len() < ROUND as usize {
                return Ok(count);
            }
        }
    }

    /// Bytes that a crash left before any session or blob named them.
    async fn purge_orphans(
        &self,
        before: SystemTime,
        dry_run: bool,
    ) -> Result<usize, RegistryError> {
        let mut count = 0;
        let mut stale = self.blobs.stale_uploads(before).chunks(ROUND as usize);
        while let Some(round) = stale.next().await {
            let round = round.into_iter().collect::<Result<Vec<_>, _>>()?;
            for upload in self.that_are_no_blobs(round).await? {
                if let Some(digest) = upload.placed {
                    self.purge_placement(&upload, &digest, dry_run).await?;
                    count += 1;
                    continue;
                }
                if self.metadata.upload_exists(upload.id).await? {
                    continue;
                }
                // Between the two questions it may have become a blob.
                let (id, handle) = (upload.id, upload.handle.clone());
                if self.that_are_no_blobs(vec![upload]).await?.is_empty() {
                    continue;
                }
                info!(upload = %id, dry_run, "purging upload bytes that nothing names");
                if !dry_run {
                    self.blobs.abort_upload(&handle).await?;
                }
                count += 1;
            }
        }
        Ok(count)
    }

    /// A crash came between the placing of a blob and its recording: if nothing knows of it, it is
    /// garbage.
    async fn purge_placement(
        &self,
        upload: &StaleUpload,
        digest: &Digest,
        dry_run: bool,
    ) -> Result<(), RegistryError> {
        info!(upload = %upload.id, %digest, dry_run, "purging what an unfinished push left");
        if !dry_run {
            self.metadata.discard_files(&[*digest]).await?;
            self.blobs.abort_upload(&upload.handle).await?;
        }
        Ok(())
    }

    /// In an object store a blob keeps the name that it was uploaded under, so that all of them are
    /// found: one question for many.
    async fn that_are_no_blobs(
        &self,
        uploads: Vec<StaleUpload>,
    ) -> Result<Vec<StaleUpload>, RegistryError> {
        let prefix = |upload: &StaleUpload| upload.location_prefix.clone();
        let prefixes: Vec<_> = uploads.iter().filter_map(prefix).collect();
        let without_blob: HashSet<_> = match prefixes.is_empty() {
            true => HashSet::new(),
            false => {
                let found = self.metadata.location_prefixes_without_blob(&prefixes).await?;
                found.into_iter().collect()
            }
        };
        let is_no_blob = |upload: &StaleUpload| {
            upload.location_prefix.as_ref().is_none_or(|prefix| without_blob.contains(prefix))
        };
        Ok(uploads.into_iter().filter(is_no_blob).collect())
    }
}
