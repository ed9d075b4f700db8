use std::{fmt, io};

use berth_client::{RegistryClient, ResumingBlob};
use berth_metadata::BlobRecord;
use berth_mirror::{Fetch, Source};
use berth_oci::{Digest, RepositoryName, UploadId};
use berth_storage_backends::StoreError;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tracing::debug;

use crate::{Registry, RegistryError};

/// In the names of how many repositories a blob is asked for.
const NAMES: u32 = 8;

/// Bytes on their way; they need not be the right ones, whoever stores them verifies them.
type Bytestream = BoxStream<'static, Result<Bytes, StoreError>>;

/// Somewhere that may have good bytes of a damaged blob.
#[derive(Debug)]
enum RepairSource<'a> {
    /// Where the repository's content comes from in any case.
    Upstream(Source),
    /// Another registry with the same repositories.
    Peer(&'a RegistryClient),
}

impl RepairSource<'_> {
    fn name(&self) -> String {
        match self {
            Self::Upstream(source) => format!("the upstream of {}", source.prefix()),
            Self::Peer(peer) => peer.url().to_string(),
        }
    }

    async fn fetch(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Bytestream, String> {
        match self {
            Self::Upstream(source) => {
                let fetch = source.blob(digest).await.map_err(in_words)?;
                Ok(stream::try_unfold(fetch, async |mut fetch: Fetch| {
                    let next = fetch.next().await.map_err(broken)?;
                    Ok(next.map(|bytes| (bytes, fetch)))
                })
                .boxed())
            }
            Self::Peer(peer) => {
                let blob = peer.resuming_blob(repository, digest, 0).await.map_err(in_words)?;
                Ok(stream::try_unfold(blob, async |mut blob: ResumingBlob| {
                    let next = blob.next().await.map_err(broken)?;
                    Ok(next.map(|bytes| (bytes, blob)))
                })
                .boxed())
            }
        }
    }
}

impl Registry {
    /// Gets good bytes for a damaged blob, and tells where they came from; `None` when nobody has them.
    pub(super) async fn repair(&self, blob: &BlobRecord) -> Result<Option<String>, RegistryError> {
        let repositories = self.upkeep()?.repositories_of_blob(&blob.digest, NAMES).await?;
        for repository in &repositories {
            for source in self.repair_sources(repository) {
                match self.repair_from(&source, repository, blob).await {
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

    fn repair_sources(&self, repository: &RepositoryName) -> Vec<RepairSource<'_>> {
        let upstream = self.mirror.source(repository).map(RepairSource::Upstream);
        upstream.into_iter().chain(self.peers.iter().map(RepairSource::Peer)).collect()
    }

    async fn repair_from(
        &self,
        source: &RepairSource<'_>,
        repository: &RepositoryName,
        blob: &BlobRecord,
    ) -> Result<(), String> {
        let bytes = source.fetch(repository, &blob.digest).await?;
        let handle = self.blobs.begin_upload(UploadId::random()).await.map_err(in_words)?;
        let stored = self.store_stream(&handle, bytes, repository, &blob.digest).await;
        if stored.is_err() {
            // If this fails too, the housekeeping finds the bytes.
            let _ = self.blobs.abort_upload(&handle).await;
        }
        stored.map_err(in_words)
    }
}

fn broken(error: impl fmt::Display) -> StoreError {
    StoreError::Io(io::Error::other(error.to_string()))
}

fn in_words(error: impl fmt::Display) -> String {
    error.to_string()
}
