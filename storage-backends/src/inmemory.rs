//! Blobs in memory: for tests and for registries that may forget everything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{Digest, UploadId};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::blob_store::quarantined;
use crate::{
    BlobContent, BlobStore, Capabilities, NewBlob, OpenBlob, PlacedBlob, StaleUpload, StoreError,
    UploadWriter, is_quarantined,
};

/// The in-memory driver. Everything is gone with the process; its use of memory is bounded only
/// by what clients push. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct InMemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    blobs: HashMap<Digest, Bytes>,
    uploads: HashMap<String, Upload>,
    /// How many writers there have been.
    writers: u64,
}

#[derive(Debug)]
struct Upload {
    bytes: BytesMut,
    /// The number of the writer that holds it.
    writer: Option<u64>,
    written_at: SystemTime,
}

impl InMemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blob(&self, digest: &Digest) -> Result<Bytes, StoreError> {
        self.state().blobs.get(digest).cloned().ok_or(StoreError::NotFound)
    }
}

#[async_trait]
impl BlobStore for InMemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities { min_chunk: 0 }
    }

    async fn begin_upload(&self, id: UploadId) -> Result<String, StoreError> {
        Ok(id.to_string())
    }

    async fn continue_upload(
        &self,
        handle: &str,
        offset: u64,
    ) -> Result<Box<dyn UploadWriter>, StoreError> {
        let mut state = self.state();
        state.writers += 1;
        let writer = state.writers;
        if offset == 0 && !state.uploads.contains_key(handle) {
            let fresh =
                Upload { bytes: BytesMut::new(), writer: None, written_at: SystemTime::now() };
            state.uploads.insert(handle.to_owned(), fresh);
        }
        let Some(upload) = state.uploads.get_mut(handle) else {
            return Err(StoreError::UploadLost { recorded: offset, held: 0 });
        };
        if upload.writer.is_some() {
            return Err(StoreError::Busy);
        }
        let held = upload.bytes.len() as u64;
        if held < offset {
            return Err(StoreError::UploadLost { recorded: offset, held });
        }
        upload.writer = Some(writer);
        let (store, handle) = (self.clone(), handle.to_owned());
        Ok(Box::new(InMemoryUpload { store, handle, writer, offset }))
    }

    async fn open_upload(&self, handle: &str, offset: u64) -> Result<OpenBlob, StoreError> {
        let state = self.state();
        let bytes = match state.uploads.get(handle) {
            Some(upload) => Bytes::copy_from_slice(&upload.bytes),
            None => Bytes::new(),
        };
        let held = bytes.len() as u64;
        if held < offset {
            return Err(StoreError::UploadLost { recorded: offset, held });
        }
        let bytes = bytes.slice(..offset as usize);
        Ok(OpenBlob { size: offset, content: BlobContent::Memory(bytes) })
    }

    async fn abort_upload(&self, handle: &str) -> Result<(), StoreError> {
        self.state().uploads.remove(handle);
        Ok(())
    }

    fn stale_uploads(&self, before: SystemTime) -> BoxStream<'_, Result<StaleUpload, StoreError>> {
        let state = self.state();
        let stale = state.uploads.iter().filter(|(_, upload)| upload.written_at < before);
        let stale = stale.filter_map(|(handle, _)| {
            let id = handle.parse().ok()?;
            Some(Ok(StaleUpload {
                id,
                handle: handle.clone(),
                location_prefix: None,
                placed: None,
            }))
        });
        stream::iter(stale.collect::<Vec<_>>()).boxed()
    }

    async fn open(&self, digest: &Digest, _location: &str) -> Result<OpenBlob, StoreError> {
        let bytes = self.blob(digest)?;
        Ok(OpenBlob { size: bytes.len() as u64, content: BlobContent::Memory(bytes) })
    }

    async fn stat(&self, digest: &Digest, _location: &str) -> Result<u64, StoreError> {
        Ok(self.blob(digest)?.len() as u64)
    }

    async fn delete(&self, digest: &Digest, location: &str) -> Result<(), StoreError> {
        // What is in quarantine has the name of what may have come in its place.
        if !is_quarantined(location) {
            self.state().blobs.remove(digest);
        }
        Ok(())
    }

    async fn quarantine(
        &self,
        _digest: &Digest,
        _location: &str,
        _looked_at: Option<&OpenBlob>,
    ) -> Result<String, StoreError> {
        // The same blob may be damaged more than once.
        Ok(quarantined(&UploadId::random().to_string()))
    }

    async fn presign(
        &self,
        _digest: &Digest,
        _location: &str,
        _valid: Duration,
    ) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    async fn probe(&self, _redirects: bool) -> Result<Vec<String>, StoreError> {
        self.check().await?;
        Ok(Vec::new())
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

struct InMemoryUpload {
    store: InMemoryStore,
    handle: String,
    writer: u64,
    /// Where the next chunk goes. What is held behind it is cut off by the next change.
    offset: u64,
}

impl InMemoryUpload {
    /// The upload, unless it was given back since, or is another one of the same handle.
    fn held<'s>(&self, state: &'s mut State) -> Result<&'s mut Upload, StoreError> {
        let upload = state.uploads.get_mut(&self.handle);
        upload
            .filter(|upload| upload.writer == Some(self.writer))
            .ok_or(StoreError::UploadLost { recorded: self.offset, held: 0 })
    }
}

#[async_trait]
impl UploadWriter for InMemoryUpload {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<(), StoreError> {
        let mut state = self.store.state();
        let upload = self.held(&mut state)?;
        upload.bytes.truncate(self.offset as usize);
        for chunk in &chunks {
            upload.bytes.extend_from_slice(chunk);
        }
        self.offset = upload.bytes.len() as u64;
        upload.written_at = SystemTime::now();
        Ok(())
    }

    async fn sync(&mut self) -> Result<String, StoreError> {
        let mut state = self.store.state();
        self.held(&mut state)?.bytes.truncate(self.offset as usize);
        Ok(self.handle.clone())
    }

    async fn seal(&mut self) -> Result<OpenBlob, StoreError> {
        self.sync().await?;
        let mut state = self.store.state();
        let bytes = Bytes::copy_from_slice(&self.held(&mut state)?.bytes);
        Ok(OpenBlob { size: bytes.len() as u64, content: BlobContent::Memory(bytes) })
    }

    async fn finish(self: Box<Self>, digest: &Digest) -> Result<NewBlob, StoreError> {
        let mut state = self.store.state();
        let mut bytes = std::mem::take(&mut self.held(&mut state)?.bytes);
        state.uploads.remove(&self.handle);
        bytes.truncate(self.offset as usize);
        let placed =
            PlacedBytes { store: self.store.clone(), digest: *digest, bytes: bytes.freeze() };
        state.blobs.insert(*digest, placed.bytes.clone());
        Ok(NewBlob { location: String::new(), hold: Box::new(placed) })
    }
}

struct PlacedBytes {
    store: InMemoryStore,
    digest: Digest,
    bytes: Bytes,
}

#[async_trait]
impl PlacedBlob for PlacedBytes {
    async fn place_again(&self) -> Result<(), StoreError> {
        self.store.state().blobs.insert(self.digest, self.bytes.clone());
        Ok(())
    }
}

impl Drop for InMemoryUpload {
    fn drop(&mut self) {
        if let Ok(upload) = self.held(&mut self.store.state()) {
            upload.writer = None;
        }
    }
}
