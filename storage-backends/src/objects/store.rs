use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{Digest, UploadId};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tokio::task::JoinSet;
use tracing::warn;

use super::breaker::Breaker;
use super::checksum::Checksum;
use super::files::ObjectFiles;
use super::handle::Handle;
use super::holds::Holds;
use super::keys::{self, Location};
use super::probe::{first_put, probe};
use super::read::RemoteObject;
use super::upload::{Buffer, ObjectUpload, Parts, Rest};
use super::{ObjectError, Objects};
use crate::blob_store::before_quarantine;
use crate::transport::Transport;
use crate::{
    BlobContent, BlobStore, Capabilities, OpenBlob, StaleUpload, StoreError, StoreFiles,
    UploadWriter,
};

/// A [`BlobStore`] over an object store.
#[derive(Clone, Debug)]
pub(crate) struct ObjectBlobStore {
    objects: Arc<dyn Objects>,
    cut: Parts,
    holds: Holds,
    files: ObjectFiles,
    /// How others reach the store.
    transport: Transport,
}

impl ObjectBlobStore {
    pub(crate) fn new(objects: impl Objects, cut: Parts, transport: Transport) -> Self {
        let objects: Arc<dyn Objects> = Arc::new(Breaker::new(objects));
        let files = ObjectFiles::new(Arc::clone(&objects), cut);
        Self { objects, cut, holds: Holds::default(), files, transport }
    }

    /// The handle cut to `offset`, and what is to be read of its rest.
    async fn stand(&self, text: &str, offset: u64) -> Result<(Handle, UploadId, Rest), StoreError> {
        let (mut handle, id) = Handle::parse(text).ok_or(StoreError::NotFound)?;
        let lost = |held| StoreError::UploadLost { recorded: offset, held };
        if handle.held() < offset {
            return Err(lost(handle.held()));
        }
        let in_parts = handle.in_parts();
        if offset > in_parts {
            let len = offset - in_parts;
            let rest_key = handle.rest_key.clone().ok_or_else(|| lost(in_parts))?;
            let object = match self.objects.size(&rest_key).await {
                Ok(size) if size >= handle.rest => size,
                Ok(size) => return Err(lost(in_parts + size)),
                Err(ObjectError::NotFound(_)) => return Err(lost(in_parts)),
                Err(error) => return Err(error.into()),
            };
            return Ok((handle, id, Rest::Stored { key: rest_key, len, object }));
        }
        (handle.rest, handle.rest_crc, handle.rest_key) = (0, None, None);
        while handle.in_parts() > offset {
            handle.parts.pop();
        }
        // The store cannot give back a piece of a part.
        match handle.in_parts() == offset {
            true => Ok((handle, id, Rest::Buffered)),
            false => Err(lost(handle.in_parts())),
        }
    }

    async fn stale(
        &self,
        before: SystemTime,
    ) -> Result<BoxStream<'_, Result<StaleUpload, StoreError>>, StoreError> {
        let mut unfinished = Vec::new();
        for folder in [keys::BLOBS, keys::CHECKS] {
            match self.objects.unfinished(folder).await {
                Err(ObjectError::Denied(reason)) => {
                    warn!(%reason, "uploads that were left unfinished cannot be found: the store may keep their parts for good");
                    break;
                }
                other => unfinished.extend(other?),
            }
        }
        let unfinished = unfinished.into_iter().filter(move |one| one.begun < before);
        let unfinished = unfinished.filter_map(|one| {
            let id = keys::upload_of(&one.key)?;
            let handle = Handle { key: Some(one.key), parts_id: Some(one.id), ..Handle::new(id) };
            Some(Ok(StaleUpload { id, handle: handle.text(), location_prefix: None, placed: None }))
        });
        let blobs = self.objects.list(keys::BLOBS).try_filter_map(move |found| async move {
            let Some(id) = keys::upload_of(&found.key).filter(|_| found.modified < before) else {
                return Ok(None);
            };
            let handle =
                Handle { rest: found.size, rest_key: Some(found.key.clone()), ..Handle::new(id) };
            let prefix = Location::prefix(found.size, &found.key);
            Ok(Some(StaleUpload {
                id,
                handle: handle.text(),
                location_prefix: Some(prefix),
                placed: None,
            }))
        });
        let others = self.objects.list(keys::TAILS).chain(self.objects.list(keys::CHECKS));
        let others = others.try_filter_map(move |found| async move {
            let Some(id) = keys::upload_of(&found.key).filter(|_| found.modified < before) else {
                return Ok(None);
            };
            let handle = Handle { rest: found.size, rest_key: Some(found.key), ..Handle::new(id) };
            Ok(Some(StaleUpload { id, handle: handle.text(), location_prefix: None, placed: None }))
        });
        let listed = blobs.chain(others).map_err(StoreError::from);
        // A blob that comes in one request has no session while it comes, however long that takes.
        let is_still = |found: &Result<StaleUpload, StoreError>| {
            let held = found.as_ref().is_ok_and(|upload| self.holds.is_held(upload.id));
            std::future::ready(!held)
        };
        Ok(stream::iter(unfinished).chain(listed).filter(is_still).boxed())
    }
}

#[async_trait]
impl BlobStore for ObjectBlobStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities { min_chunk: self.cut.smallest as u64 }
    }

    fn files(&self) -> Option<&dyn StoreFiles> {
        Some(&self.files)
    }

    async fn begin_upload(&self, id: UploadId) -> Result<String, StoreError> {
        Ok(Handle::new(id).text())
    }

    async fn continue_upload(
        &self,
        handle: &str,
        offset: u64,
    ) -> Result<Box<dyn UploadWriter>, StoreError> {
        let (_, id) = Handle::parse(handle).ok_or(StoreError::NotFound)?;
        let hold = self.holds.take(id).ok_or(StoreError::Busy)?;
        let (recorded, id, rest) = self.stand(handle, offset).await?;
        Ok(Box::new(ObjectUpload {
            objects: Arc::clone(&self.objects),
            cut: self.cut,
            id,
            hold,
            key: recorded.key.clone().unwrap_or_else(|| keys::blob(id)),
            parts: recorded.parts.clone(),
            parts_id: recorded.parts_id.clone(),
            recorded,
            sending: JoinSet::new(),
            buffer: Buffer::default(),
            rest,
            sealed: None,
        }))
    }

    async fn open_upload(&self, handle: &str, offset: u64) -> Result<OpenBlob, StoreError> {
        let (handle, _, rest) = self.stand(handle, offset).await?;
        let content = match rest {
            Rest::Stored { key, len, .. } if len == offset => {
                self.remote(key, handle.expected_rest())
            }
            _ if offset == 0 => BlobContent::Memory(Bytes::new()),
            // A store shows parts only as the object that they become.
            _ => BlobContent::Unreadable,
        };
        Ok(OpenBlob { size: offset, content })
    }

    async fn abort_upload(&self, handle: &str) -> Result<(), StoreError> {
        let (handle, id) = Handle::parse(handle).ok_or(StoreError::NotFound)?;
        self.holds.void(id);
        if let (Some(key), Some(parts_id)) = (&handle.key, &handle.parts_id) {
            self.objects.abort_parts(key, parts_id).await?;
        }
        if let Some(key) = &handle.rest_key {
            self.objects.delete(key).await?;
        }
        Ok(())
    }

    fn stale_uploads(&self, before: SystemTime) -> BoxStream<'_, Result<StaleUpload, StoreError>> {
        stream::once(self.stale(before)).try_flatten().boxed()
    }

    async fn open(&self, _digest: &Digest, location: &str) -> Result<OpenBlob, StoreError> {
        let Location { size, key, crc } = Location::parse(location).ok_or(StoreError::NotFound)?;
        Ok(OpenBlob { size, content: self.remote(key.to_owned(), crc.map(|crc| (size, crc))) })
    }

    async fn stat(&self, _digest: &Digest, location: &str) -> Result<u64, StoreError> {
        let location = Location::parse(location).ok_or(StoreError::NotFound)?;
        Ok(self.objects.size(location.key).await?)
    }

    async fn delete(&self, _digest: &Digest, location: &str) -> Result<(), StoreError> {
        match Location::parse(before_quarantine(location)) {
            Some(location) => Ok(self.objects.delete(location.key).await?),
            None => Ok(()),
        }
    }

    async fn presign(
        &self,
        _digest: &Digest,
        location: &str,
        valid: Duration,
    ) -> Result<Option<String>, StoreError> {
        let location = Location::parse(location).ok_or(StoreError::NotFound)?;
        Ok(self.objects.presign(location.key, valid).await?)
    }

    async fn probe(&self, redirects: bool) -> Result<Vec<String>, StoreError> {
        let readers = redirects.then_some(&self.transport);
        probe(&*self.objects, self.cut, readers).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        let key = keys::check();
        first_put(&*self.objects, &key, b"berth").await?;
        let stream = self.objects.get(&key, 0..5).await?;
        let read: Vec<Bytes> = stream.try_collect().await?;
        self.objects.delete(&key).await?;
        match read.concat() == b"berth" {
            true => Ok(()),
            false => Err(StoreError::Io(std::io::Error::other(
                "an object read back differs from what was written",
            ))),
        }
    }
}

impl ObjectBlobStore {
    fn remote(&self, key: String, expected: Option<(u64, Checksum)>) -> BlobContent {
        let objects = Arc::clone(&self.objects);
        BlobContent::Remote(Arc::new(RemoteObject { objects, key, expected }))
    }
}
