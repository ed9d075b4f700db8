//! A store that waits or fails where a test says, and is otherwise the store within.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{Digest, UploadId};
use berth_storage_backends::{
    BlobStore, Capabilities, LinkTree, NewBlob, OpenBlob, StaleUpload, StoreError, UploadWriter,
};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::sync::Semaphore;

/// What the test controls. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Faults(Arc<Controls>);

#[derive(Debug)]
struct Controls {
    fault: Mutex<Option<Fault>>,
    arrived: Semaphore,
    may_go_on: Semaphore,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The next request that takes hold of an upload waits before it does.
    HoldLate,
    /// Nothing can be appended to an upload: the disk is full.
    Full,
    /// An upload cannot be brought to stable storage.
    Sync,
    /// An upload cannot become a blob.
    Finish,
    /// No blob can be opened.
    Open,
}

impl Faults {
    pub(crate) fn new() -> Self {
        let controls = Controls {
            fault: Mutex::new(None),
            arrived: Semaphore::new(0),
            may_go_on: Semaphore::new(0),
        };
        Self(Arc::new(controls))
    }

    /// Puts this store around another.
    pub(crate) fn around(&self, inner: Arc<dyn BlobStore>) -> Arc<dyn BlobStore> {
        Arc::new(FaultyStore { inner, faults: self.clone() })
    }

    /// From now on this goes wrong, or nothing.
    pub(crate) fn set(&self, fault: Option<Fault>) {
        *self.fault() = fault;
    }

    /// Whether a request waits to take hold of an upload.
    pub(crate) fn somebody_waits(&self) -> bool {
        self.0.arrived.available_permits() > 0
    }

    /// Lets the request go on that waits.
    pub(crate) fn let_go_on(&self) {
        self.0.arrived.forget_permits(1);
        self.0.may_go_on.add_permits(1);
    }

    fn fault(&self) -> MutexGuard<'_, Option<Fault>> {
        self.0.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fails(&self, fault: Fault) -> Result<(), StoreError> {
        if *self.fault() != Some(fault) {
            return Ok(());
        }
        Err(match fault {
            Fault::Full => StoreError::NoSpace,
            _ => StoreError::Io(io::Error::other("injected by a test")),
        })
    }

    /// Waits for the test, the first time only.
    async fn wait(&self) {
        let waits = self.fault().take_if(|fault| *fault == Fault::HoldLate).is_some();
        if waits {
            self.0.arrived.add_permits(1);
            if let Ok(permit) = self.0.may_go_on.acquire().await {
                permit.forget();
            }
        }
    }
}

#[derive(Debug)]
struct FaultyStore {
    inner: Arc<dyn BlobStore>,
    faults: Faults,
}

#[async_trait]
impl BlobStore for FaultyStore {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn link_tree(&self) -> Option<&dyn LinkTree> {
        self.inner.link_tree()
    }

    async fn begin_upload(&self, id: UploadId) -> Result<String, StoreError> {
        self.inner.begin_upload(id).await
    }

    async fn continue_upload(
        &self,
        handle: &str,
        offset: u64,
    ) -> Result<Box<dyn UploadWriter>, StoreError> {
        self.faults.wait().await;
        let inner = self.inner.continue_upload(handle, offset).await?;
        Ok(Box::new(FaultyWriter { inner, faults: self.faults.clone() }))
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
        self.faults.fails(Fault::Open)?;
        self.inner.open(digest, location).await
    }

    async fn stat(&self, digest: &Digest, location: &str) -> Result<u64, StoreError> {
        self.inner.stat(digest, location).await
    }

    async fn delete(&self, digest: &Digest, location: &str) -> Result<(), StoreError> {
        self.inner.delete(digest, location).await
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

struct FaultyWriter {
    inner: Box<dyn UploadWriter>,
    faults: Faults,
}

#[async_trait]
impl UploadWriter for FaultyWriter {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<(), StoreError> {
        self.faults.fails(Fault::Full)?;
        self.inner.write(chunks).await
    }

    async fn sync(&mut self) -> Result<String, StoreError> {
        self.faults.fails(Fault::Sync)?;
        self.inner.sync().await
    }

    async fn seal(&mut self) -> Result<OpenBlob, StoreError> {
        self.faults.fails(Fault::Sync)?;
        self.inner.seal().await
    }

    async fn finish(self: Box<Self>, digest: &Digest) -> Result<NewBlob, StoreError> {
        self.faults.fails(Fault::Finish)?;
        self.inner.finish(digest).await
    }
}
