use std::{fmt, io};

use async_trait::async_trait;
use berth_metadata::BlobRecord;
use berth_oci::{Digest, RepositoryName, UploadId};
use berth_storage_backends::StoreError;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
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
        let bytes = bytes.map_err(|reason| StoreError::Io(io::Error::other(reason))).boxed();
        let stored = self.store_stream(&handle, bytes, repository, &blob.digest).await;
        if stored.is_err() {
            // If this fails too, the housekeeping finds the bytes.
            let _ = self.blobs.abort_upload(&handle).await;
        }
        stored.map_err(in_words)
    }
}

fn in_words(error: impl fmt::Display) -> String {
    error.to_string()
}
