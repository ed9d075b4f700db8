use berth_oci::{Algorithm, Digest, Hasher};
use berth_storage_backends::{BlobContent, OpenBlob, StoreError, UploadWriter};
use bytes::Bytes;
use futures_util::StreamExt;

use super::body::{Batch, BodyError, BodyReader, Next};
use crate::{DigestMismatch, RegistryError};

/// Up to this many bytes are hashed where they are: another thread would cost more than the hash.
const HASH_INLINE: usize = 32 * 1024;

/// How many bytes of a stored upload are read at a time to hash them again.
const REHASH_CHUNK: usize = 1 << 20;

/// The way of a body into the store: hashed and written side by side, while the next bytes come.
pub(super) struct Ingest {
    pub(super) writer: Box<dyn UploadWriter>,
    pub(super) hasher: Hasher,
    pub(super) offset: u64,
}

impl Ingest {
    /// Into an upload that has nothing yet.
    pub(super) fn new(writer: Box<dyn UploadWriter>, algorithm: Algorithm) -> Self {
        Self { writer, hasher: Hasher::new(algorithm), offset: 0 }
    }
}

impl Ingest {
    /// Takes the body to its end. A body that breaks off is told as `Some`; the bytes that came
    /// before are taken all the same.
    pub(super) async fn take(
        &mut self,
        body: &mut BodyReader,
    ) -> Result<Option<BodyError>, RegistryError> {
        loop {
            match body.next().await {
                Next::End => return Ok(None),
                Next::Failed(error) => return Ok(Some(error)),
                Next::Batch(batch) => self.process(batch).await?,
            }
        }
    }

    /// Takes some bytes.
    pub(super) async fn process(&mut self, batch: Batch) -> Result<(), RegistryError> {
        let hashed = hash(self.hasher.clone(), batch.chunks.clone(), batch.len);
        let (hasher, written) = tokio::join!(hashed, self.writer.write(batch.chunks));
        written?;
        self.hasher = hasher?;
        self.offset += batch.len as u64;
        Ok(())
    }
}

async fn hash(mut hasher: Hasher, chunks: Vec<Bytes>, len: usize) -> Result<Hasher, RegistryError> {
    let work = move || {
        chunks.iter().for_each(|chunk| hasher.update(chunk));
        hasher
    };
    if len <= HASH_INLINE {
        return Ok(work());
    }
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|error| RegistryError::Internal { cause: error.to_string() })
}

/// Hashes stored bytes, for a digest of another algorithm than the session kept a state for, or
/// when the kept state cannot be read.
///
/// # Errors
/// [`RegistryError::UploadUnknown`] where the store does not give back what is not a blob yet: the
/// client has to begin again.
pub(super) async fn rehash(
    algorithm: Algorithm,
    stored: OpenBlob,
) -> Result<Hasher, RegistryError> {
    if let BlobContent::Unreadable = &stored.content {
        return Err(RegistryError::UploadUnknown);
    }
    let mut hasher = Hasher::new(algorithm);
    if let BlobContent::Remote(remote) = &stored.content {
        let mut bytes = remote.read(0..stored.size);
        while let Some(bytes) = bytes.next().await {
            hasher.update(&bytes?);
            tokio::task::yield_now().await;
        }
        return Ok(hasher);
    }
    let work = move || -> Result<Hasher, StoreError> {
        match stored.content {
            // Remote content was read above.
            BlobContent::Unreadable | BlobContent::Remote(_) => return Err(StoreError::NotFound),
            BlobContent::Memory(bytes) => hasher.update(&bytes),
            BlobContent::File(file) => {
                let mut buffer = vec![0; REHASH_CHUNK];
                let mut offset = 0;
                while offset < stored.size {
                    let left = (stored.size - offset).min(REHASH_CHUNK as u64) as usize;
                    use std::os::unix::fs::FileExt;
                    file.read_exact_at(&mut buffer[..left], offset)?;
                    hasher.update(&buffer[..left]);
                    offset += left as u64;
                }
            }
        }
        Ok(hasher)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(RegistryError::Internal { cause: error.to_string() }),
    }
}

/// Compares what came with what was announced.
pub(super) fn verify(expected: &Digest, actual: Digest) -> Result<(), RegistryError> {
    match *expected == actual {
        true => Ok(()),
        false => Err(Box::new(DigestMismatch { expected: *expected, actual }).into()),
    }
}
