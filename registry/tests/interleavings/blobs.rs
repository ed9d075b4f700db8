//! A blob store that stops before and after each step.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{Digest, LinkChange, UploadId};
use berth_storage_backends::{
    BlobStore, Capabilities, LinkTree, NewBlob, OpenBlob, PlacedBlob, StaleUpload, StoreError,
    UploadWriter,
};
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::schedule::Schedule;

/// A store whose steps the schedule puts in order. Reads pass.
#[derive(Debug)]
pub(crate) struct GatedBlobs {
    pub(crate) inner: Arc<dyn BlobStore>,
    pub(crate) schedule: Schedule,
}

#[async_trait]
impl BlobStore for GatedBlobs {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn link_tree(&self) -> Option<&dyn LinkTree> {
        self.inner.link_tree().map(|_| self as &dyn LinkTree)
    }

    async fn begin_upload(&self, id: UploadId) -> Result<String, StoreError> {
        self.inner.begin_upload(id).await
    }

    async fn continue_upload(
        &self,
        handle: &str,
        offset: u64,
    ) -> Result<Box<dyn UploadWriter>, StoreError> {
        let (inner, schedule) = (self.inner.continue_upload(handle, offset).await?, &self.schedule);
        Ok(Box::new(GatedWriter { inner, schedule: schedule.clone() }))
    }

    async fn open_upload(&self, handle: &str, offset: u64) -> Result<OpenBlob, StoreError> {
        self.inner.open_upload(handle, offset).await
    }

    async fn abort_upload(&self, handle: &str) -> Result<(), StoreError> {
        self.inner.abort_upload(handle).await
    }

    fn stale_uploads(&self, before: SystemTime) -> BoxStream<'_, Result<StaleUpload, StoreError>> {
        self.inner.stale_uploads(before)
    }

    async fn open(&self, digest: &Digest, location: &str) -> Result<OpenBlob, StoreError> {
        self.inner.open(digest, location).await
    }

    async fn stat(&self, digest: &Digest, location: &str) -> Result<u64, StoreError> {
        self.inner.stat(digest, location).await
    }

    async fn delete(&self, digest: &Digest, location: &str) -> Result<(), StoreError> {
        self.inner.delete(digest, location).await
    }

    /// One by one, so that others come between.
    async fn delete_many(&self, blobs: &[(Digest, String)]) -> Vec<Result<(), StoreError>> {
        let mut outcomes = Vec::new();
        for (digest, location) in blobs {
            self.schedule.gate("remove").await;
            outcomes.push(self.inner.delete(digest, location).await);
        }
        self.schedule.gate("removed").await;
        outcomes
    }

    async fn presign(
        &self,
        digest: &Digest,
        location: &str,
        valid: Duration,
    ) -> Result<Option<String>, StoreError> {
        self.inner.presign(digest, location, valid).await
    }

    async fn probe(&self, redirects: bool) -> Result<Vec<String>, StoreError> {
        self.inner.probe(redirects).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }
}

#[async_trait]
impl LinkTree for GatedBlobs {
    async fn apply(&self, changes: Vec<LinkChange>) -> Result<(), StoreError> {
        let Some(tree) = self.inner.link_tree() else { return Ok(()) };
        self.schedule.gate("link").await;
        let applied = tree.apply(changes).await;
        self.schedule.gate("linked").await;
        applied
    }
}

struct GatedWriter {
    inner: Box<dyn UploadWriter>,
    schedule: Schedule,
}

#[async_trait]
impl UploadWriter for GatedWriter {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<(), StoreError> {
        self.inner.write(chunks).await
    }

    async fn sync(&mut self) -> Result<String, StoreError> {
        self.inner.sync().await
    }

    async fn seal(&mut self) -> Result<OpenBlob, StoreError> {
        self.inner.seal().await
    }

    async fn finish(self: Box<Self>, digest: &Digest) -> Result<NewBlob, StoreError> {
        self.schedule.gate("place").await;
        let NewBlob { location, hold } = self.inner.finish(digest).await?;
        let hold = Box::new(GatedPlace { inner: hold, schedule: self.schedule.clone() });
        self.schedule.gate("placed").await;
        Ok(NewBlob { location, hold })
    }
}

struct GatedPlace {
    inner: Box<dyn PlacedBlob>,
    schedule: Schedule,
}

#[async_trait]
impl PlacedBlob for GatedPlace {
    async fn place_again(&self) -> Result<(), StoreError> {
        self.schedule.gate("place again").await;
        let placed = self.inner.place_again().await;
        self.schedule.gate("placed again").await;
        placed
    }

    fn recorded(&self) {
        self.inner.recorded();
    }
}
