use std::sync::Arc;

use async_trait::async_trait;
use berth_oci::{Digest, UploadId};
use bytes::Bytes;
use futures_util::stream::TryStreamExt;
use tokio::task::JoinSet;
use tracing::warn;

use super::checksum::Checksum;
use super::handle::{Handle, Part};
use super::holds::Hold;
use super::keys::{self, Location};
use super::read::RemoteObject;
use super::{ObjectError, Objects};
use crate::{BlobContent, NewBlob, OpenBlob, RemoteBlob as _, StoreError, UploadWriter};

/// How an upload is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    /// The size of a part in bytes.
    pub(crate) size: usize,
    /// The smallest size that a part may have which is not the last.
    pub(crate) smallest: usize,
    /// How many parts go up at the same time.
    pub(crate) parallel: usize,
    /// How many parts an object may have, unless the store itself says so.
    pub(crate) limit: usize,
}

/// An upload held for writing.
///
/// Bytes wait in a buffer until they are a part and as many more as the smallest part has, so that
/// what is left at the end of a request is never too small for a part of its own, unless the
/// request brought less than that.
pub(super) struct ObjectUpload {
    pub(super) objects: Arc<dyn Objects>,
    pub(super) cut: Parts,
    pub(super) id: UploadId,
    pub(super) hold: Hold,
    /// What the caller has recorded; of its parts those before the offset that it goes on from.
    pub(super) recorded: Handle,
    /// The parts that are in the store or on their way.
    pub(super) parts: Vec<Part>,
    pub(super) parts_id: Option<String>,
    /// The key of the blob, unless it is a rest that is in the store already.
    pub(super) key: String,
    pub(super) sending: JoinSet<Result<(usize, String, Checksum), ObjectError>>,
    pub(super) buffer: Buffer,
    pub(super) rest: Rest,
    /// The object that the upload has become.
    pub(super) sealed: Option<Sealed>,
}

/// An object that holds an upload whole.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    key: String,
    size: u64,
    crc: Checksum,
}

/// The bytes behind the recorded parts.
pub(super) enum Rest {
    /// They are in the buffer, as all that came since.
    Buffered,
    /// They are in the store alone: the first `len` of an object of `object` bytes.
    Stored { key: String, len: u64, object: u64 },
}

/// Bytes on their way into parts. They stay where they were received.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    chunks: Vec<Bytes>,
    len: usize,
}

impl Buffer {
    fn push(&mut self, chunk: Bytes) {
        self.len += chunk.len();
        self.chunks.push(chunk);
    }

    /// Takes the first `len` bytes, of which there are as many.
    fn take(&mut self, len: usize) -> Vec<Bytes> {
        let mut left = len;
        let mut count = 0;
        let mut cut = None;
        for chunk in &mut self.chunks {
            if left == 0 {
                break;
            }
            if chunk.len() > left {
                cut = Some(chunk.split_to(left));
                break;
            }
            left -= chunk.len();
            count += 1;
        }
        let mut taken: Vec<Bytes> = self.chunks.drain(..count).collect();
        taken.extend(cut);
        self.len -= len;
        taken
    }
}

impl ObjectUpload {
    fn check_hold(&self) -> Result<(), StoreError> {
        match self.hold.is_valid() {
            true => Ok(()),
            false => Err(self.lost(0)),
        }
    }

    fn lost(&self, held: u64) -> StoreError {
        StoreError::UploadLost { recorded: self.recorded.held(), held }
    }

    /// Gets the rest back from the store, to be continued.
    async fn load_rest(&mut self) -> Result<(), StoreError> {
        let Rest::Stored { key, len, .. } = &self.rest else { return Ok(()) };
        let (objects, written) = (Arc::clone(&self.objects), self.recorded.rest);
        let expected = self.recorded.expected_rest();
        let object = RemoteObject { objects, key: key.clone(), expected };
        // All that was written, since only the whole can be checked.
        let mut left = *len;
        for mut chunk in object.read(0..written).try_collect::<Vec<_>>().await? {
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= chunk.len() as u64;
            self.buffer.push(chunk);
        }
        self.rest = Rest::Buffered;
        Ok(())
    }

    /// Sends the first bytes of the buffer as a part.
    async fn send_part(&mut self, len: usize) -> Result<(), StoreError> {
        let limit = self.objects.part_limit().await.unwrap_or(self.cut.limit);
        if self.parts.len() >= limit {
            let most = limit as u64 * self.cut.size as u64;
            return Err(StoreError::TooLarge { limit: most });
        }
        let key = self.key.clone();
        let id = match &self.parts_id {
            Some(id) => id.clone(),
            None => self.parts_id.insert(self.objects.begin_parts(&key).await?).clone(),
        };
        while self.sending.len() >= self.cut.parallel {
            self.receive_name().await?;
        }
        let (objects, index, content) =
            (Arc::clone(&self.objects), self.parts.len(), self.buffer.take(len));
        self.parts.push(Part { size: len as u64, ..Part::default() });
        self.sending.spawn(async move {
            let crc = Checksum::of(&content);
            let name = objects.put_part(&key, &id, index, content).await?;
            Ok((index, name, crc))
        });
        Ok(())
    }

    /// Waits until so many more bytes are within what an upload may hold: the parts on their way and
    /// one that is being filled.
    async fn make_room(&mut self, len: usize) -> Result<(), StoreError> {
        let budget = (self.cut.parallel + 1) * self.cut.size;
        while self.sending.len() * self.cut.size + self.buffer.len + len > budget {
            if !self.receive_name().await? {
                break;
            }
        }
        Ok(())
    }

    /// Waits until one of the parts that are on their way is in the store.
    async fn receive_name(&mut self) -> Result<bool, StoreError> {
        let Some(sent) = self.sending.join_next().await else { return Ok(false) };
        let sent = sent.map_err(|error| StoreError::Io(std::io::Error::other(error)))?;
        let (index, name, crc) = match sent {
            // The upload in parts has been given up.
            Err(ObjectError::NotFound(_)) => return Err(self.lost(0)),
            sent => sent?,
        };
        if let Some(part) = self.parts.get_mut(index) {
            (part.name, part.crc) = (name, crc);
        }
        Ok(true)
    }

    async fn receive_all_names(&mut self) -> Result<(), StoreError> {
        while self.receive_name().await? {}
        Ok(())
    }

    /// Makes the object of its parts.
    async fn complete(&mut self, id: &str) -> Result<(), StoreError> {
        let key = self.key.clone();
        let size = self.parts.iter().map(|part| part.size).sum::<u64>();
        let names = self.parts.iter().map(|part| part.name.clone()).collect();
        let Err(error) = self.objects.complete_parts(&key, id, names).await else { return Ok(()) };
        // It may have been completed all the same, before the answer was lost or by a process that
        // died: nobody else ever writes to this key.
        match (self.objects.size(&key).await, error) {
            (Ok(held), _) if held == size => Ok(()),
            (Ok(_) | Err(ObjectError::NotFound(_)), ObjectError::NotFound(_)) => Err(self.lost(0)),
            (_, error) => Err(error.into()),
        }
    }

    /// Deletes the tail that was recorded, which the blob has swallowed.
    async fn delete_tail(&self) {
        // Without parts it is an object of its own, which another writer may have made the blob.
        let Some(key) = self.recorded.rest_key.as_ref().filter(|_| !self.recorded.parts.is_empty())
        else {
            return;
        };
        if let Err(error) = self.objects.delete(key).await {
            warn!(key, %error, "the tail of an upload is left for the next clean-up");
        }
    }
}

#[async_trait]
impl UploadWriter for ObjectUpload {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<(), StoreError> {
        self.check_hold()?;
        if chunks.iter().all(Bytes::is_empty) {
            return Ok(());
        }
        self.load_rest().await?;
        for chunk in chunks {
            self.make_room(chunk.len()).await?;
            self.buffer.push(chunk);
            while self.buffer.len >= self.cut.size + self.cut.smallest {
                self.send_part(self.cut.size).await?;
            }
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<String, StoreError> {
        self.check_hold()?;
        if matches!(&self.rest, Rest::Stored { len, .. } if *len < self.recorded.rest) {
            // What is behind the offset goes with the first change.
            self.load_rest().await?;
        }
        let mut handle = self.recorded.clone();
        if let Rest::Buffered = self.rest {
            if self.buffer.len > 0 && self.buffer.len >= self.cut.smallest {
                self.send_part(self.buffer.len).await?;
            }
            self.receive_all_names().await?;
            handle.parts.clone_from(&self.parts);
            handle.parts_id.clone_from(&self.parts_id);
            handle.key = self.parts_id.is_some().then(|| self.key.clone());
            handle.rest = self.buffer.len as u64;
            handle.rest_crc = (handle.rest > 0).then(|| Checksum::of(&self.buffer.chunks));
            handle.rest_key = match (handle.rest, self.parts.is_empty()) {
                (0, _) => None,
                (_, true) => Some(self.key.clone()),
                (_, false) => Some(keys::tail(self.id)),
            };
            if let Some(key) = &handle.rest_key {
                self.objects.put(key, self.buffer.chunks.clone()).await?;
            }
        }
        self.check_hold()?;
        let text = handle.text();
        self.recorded = handle;
        Ok(text)
    }

    async fn seal(&mut self) -> Result<OpenBlob, StoreError> {
        self.check_hold()?;
        let Sealed { key, size, crc } = self.become_object().await?;
        let objects = Arc::clone(&self.objects);
        let object = RemoteObject { objects, key, expected: Some((size, crc)) };
        Ok(OpenBlob { size, content: BlobContent::Remote(Arc::new(object)) })
    }

    async fn finish(mut self: Box<Self>, _digest: &Digest) -> Result<NewBlob, StoreError> {
        self.check_hold()?;
        let Sealed { key, size, crc } = self.become_object().await?;
        if !self.hold.is_valid() {
            // Given back while the store was at it: nobody may come to know this blob.
            let _ = self.objects.delete(&key).await;
            return Err(self.lost(0));
        }
        let location = Location { size, key: &key, crc: Some(crc) }.to_string();
        Ok(NewBlob { location, hold: Box::new((*self).hold) })
    }
}

impl ObjectUpload {
    /// Puts all bytes into one object, unless they are in one already.
    async fn become_object(&mut self) -> Result<Sealed, StoreError> {
        if let Some(sealed) = &self.sealed {
            return Ok(sealed.clone());
        }
        let sealed = self.store_whole().await?;
        Ok(self.sealed.insert(sealed).clone())
    }

    async fn store_whole(&mut self) -> Result<Sealed, StoreError> {
        if let Rest::Stored { key, len, object } = &self.rest
            && self.parts.is_empty()
            && len == object
            && let Some((size, crc)) = self.recorded.expected_rest()
            && size == *len
        {
            return Ok(Sealed { key: key.clone(), size, crc });
        }
        self.load_rest().await?;
        let key = self.key.clone();
        if self.parts.is_empty() {
            let size = self.buffer.len as u64;
            let content = self.buffer.take(self.buffer.len);
            let crc = Checksum::of(&content);
            self.objects.put(&key, content).await?;
            Ok(Sealed { key, size, crc })
        } else {
            if self.buffer.len > 0 {
                self.send_part(self.buffer.len).await?;
            }
            self.receive_all_names().await?;
            let id = self.parts_id.clone().unwrap_or_default();
            self.complete(&id).await?;
            self.delete_tail().await;
            let whole = (0, Checksum::default());
            let (size, crc) = self
                .parts
                .iter()
                .fold(whole, |(size, crc), part| (size + part.size, crc.then(part.crc, part.size)));
            Ok(Sealed { key, size, crc })
        }
    }
}
