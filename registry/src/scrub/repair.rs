use std::fmt;
use std::time::Instant;

use async_trait::async_trait;
use berth_metadata::{BlobLocation, BlobRecord, FinishedUpload};
use berth_oci::{Digest, Hasher, RepositoryName, UploadId};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use tracing::debug;

use crate::{Registry, RegistryError};

/// In the names of how many repositories a blob is asked for.
const NAMES: u32 = 8;

/// Somewhere that may have good bytes of a damaged blob.
#[async_trait]
pub(crate) trait RepairSource: fmt::Debug + Send + Sync {
    /// What reports call it.
    fn name(&self) -> String;

    /// The bytes of a blob of a repository; a text tells why they cannot be had. They need not be the
    /// right ones: whoever asks verifies them.
    async fn fetch(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<BoxStream<'static, Result<Bytes, String>>, String>;
}

impl Registry {
    /// Gets good bytes for a damaged blob, and tells where they came from; `None` when nobody has them.
    pub(super) async fn repair(&self, blob: &BlobRecord) -> Result<Option<String>, RegistryError> {
        let repositories = self.upkeep()?.repositories_of_blob(&blob.digest, NAMES).await?;
        for source in &self.repair_sources {
            for repository in &repositories {
                match self.repair_from(&**source, repository, blob).await {
                    Ok(()) => return Ok(Some(source.name())),
                    Err(reason) => {
                        let source = source.name();
                        debug!(source, %repository, digest = %blob.digest, reason, "no repair");
                    }
                }
            }
        }
        Ok(None)
    }

    async fn repair_from(
        &self,
        source: &dyn RepairSource,
        repository: &RepositoryName,
        blob: &BlobRecord,
    ) -> Result<(), String> {
        let bytes = source.fetch(repository, &blob.digest).await?;
        let handle = self.blobs.begin_upload(UploadId::random()).await.map_err(in_words)?;
        let stored = self.store_repair(&handle, bytes, repository, blob).await;
        if stored.is_err() {
            // If this fails too, the housekeeping finds the bytes.
            let _ = self.blobs.abort_upload(&handle).await;
        }
        stored
    }

    /// The way of a push: bytes that are verified and durable, then the row.
    async fn store_repair(
        &self,
        handle: &str,
        mut bytes: BoxStream<'static, Result<Bytes, String>>,
        repository: &RepositoryName,
        blob: &BlobRecord,
    ) -> Result<(), String> {
        let mut writer = self.blobs.continue_upload(handle, 0).await.map_err(in_words)?;
        let mut hasher = Hasher::new(blob.digest.algorithm());
        let mut size = 0;
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk?;
            size += chunk.len() as u64;
            hasher.update(&chunk);
            writer.write(vec![chunk]).await.map_err(in_words)?;
        }
        let actual = hasher.finish();
        if actual != blob.digest {
            return Err(format!("it has bytes with the digest {actual}"));
        }
        let placed_at = Instant::now();
        let placed = writer.finish(&blob.digest).await.map_err(in_words)?;
        let settings = &self.config().storage.maintenance.garbagecollection;
        let (digest, location) = (blob.digest, BlobLocation(placed.location));
        let finished = FinishedUpload {
            id: None,
            repository: repository.clone(),
            blob: BlobRecord { digest, size, location },
            lease: settings.lease.get(),
            grace: settings.graceperiod.get(),
            seen: None,
            events: Vec::new(),
        };
        self.record(finished, &*placed.hold, placed_at).await.map_err(in_words)
    }
}

fn in_words(error: impl fmt::Display) -> String {
    error.to_string()
}
