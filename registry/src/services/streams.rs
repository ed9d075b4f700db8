//! Blobs that do not come from a client.

use std::time::Instant;

use berth_metadata::{BlobLocation, BlobRecord, FinishedUpload};
use berth_oci::{Digest, Hasher, RepositoryName};
use berth_storage_backends::StoreError;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};

use super::ingest::verify;
use crate::{Registry, RegistryError};

impl Registry {
    /// Stores a blob under an upload that was begun, in the order of a push: the bytes are verified and made
    /// durable, then the row is written. Nobody is told of it.
    pub(crate) async fn store_stream(
        &self,
        handle: &str,
        mut bytes: BoxStream<'static, Result<Bytes, StoreError>>,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), RegistryError> {
        let mut writer = self.blobs.continue_upload(handle, 0).await?;
        let mut hasher = Hasher::new(digest.algorithm());
        let mut size = 0;
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk?;
            size += chunk.len() as u64;
            hasher.update(&chunk);
            writer.write(vec![chunk]).await?;
        }
        verify(digest, hasher.finish())?;
        let placed_at = Instant::now();
        let placed = writer.finish(digest).await?;
        let settings = &self.config().storage.maintenance.garbagecollection;
        let (digest, location) = (*digest, BlobLocation(placed.location));
        let finished = FinishedUpload {
            id: None,
            repository: repository.clone(),
            blob: BlobRecord { digest, size, location },
            lease: settings.lease.get(),
            grace: settings.graceperiod.get(),
            seen: None,
            events: Vec::new(),
        };
        self.record(finished, &*placed.hold, placed_at).await
    }
}
