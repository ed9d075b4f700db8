use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use berth_metadata::BlobRecord;
use berth_oci::Hasher;
use berth_storage_backends::{BlobContent, OpenBlob, StoreError};
use futures_util::StreamExt as _;

use super::pace::Pace;
use crate::{Registry, RegistryError};

/// How much is read at a time: what was read is still in the processor's cache when it is hashed.
const CHUNK: usize = 256 << 10;

/// How a blob is.
#[derive(Debug)]
pub(super) enum Condition {
    /// Its bytes are what its digest says.
    Good,
    /// They are not, or they are not there.
    Damaged {
        /// What is wrong.
        reason: String,
        /// The bytes that were read, if there were any.
        looked_at: Option<OpenBlob>,
    },
}

impl Registry {
    /// Reads a blob whole.
    ///
    /// # Errors
    /// When the store fails otherwise than by not having it: that tells nothing of the blob.
    pub(super) async fn condition(
        &self,
        blob: &BlobRecord,
        pace: &Pace,
    ) -> Result<Condition, RegistryError> {
        let open = match self.blobs.open(&blob.digest, &blob.location.0).await {
            Err(StoreError::NotFound) => return Ok(gone()),
            other => other?,
        };
        let damaged = |reason| {
            let looked_at = Some(open.clone());
            Ok(Condition::Damaged { reason, looked_at })
        };
        if open.size != blob.size {
            return damaged(format!("it has {} bytes where it had {}", open.size, blob.size));
        }
        let hashed = match hash(&open, Hasher::new(blob.digest.algorithm()), pace).await {
            Err(StoreError::NotFound) => return Ok(gone()),
            other => other?,
        };
        match hashed.finish() {
            actual if actual == blob.digest => Ok(Condition::Good),
            actual => damaged(format!("its bytes have the digest {actual}")),
        }
    }
}

fn gone() -> Condition {
    Condition::Damaged { reason: "its bytes are gone".to_owned(), looked_at: None }
}

async fn hash(open: &OpenBlob, mut hasher: Hasher, pace: &Pace) -> Result<Hasher, StoreError> {
    match &open.content {
        BlobContent::Memory(bytes) => {
            hasher.update(bytes);
            Ok(hasher)
        }
        BlobContent::File(file) => hash_file(file, open.size, hasher, pace).await,
        BlobContent::Remote(remote) => {
            let mut bytes = remote.read(0..open.size);
            while let Some(bytes) = bytes.next().await {
                let bytes = bytes?;
                pace.wait(bytes.len()).await;
                hasher.update(&bytes);
            }
            Ok(hasher)
        }
        BlobContent::Unreadable => Err(StoreError::NotFound),
    }
}

async fn hash_file(
    file: &Arc<File>,
    size: u64,
    mut hasher: Hasher,
    pace: &Pace,
) -> Result<Hasher, StoreError> {
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    while offset < size {
        let end = size.min(offset + pace.at_a_time());
        pace.wait((end - offset) as usize).await;
        let file = file.clone();
        let turn = tokio::task::spawn_blocking(move || {
            hash_range(&file, offset..end, &mut buffer, &mut hasher)?;
            Ok::<_, std::io::Error>((buffer, hasher))
        });
        (buffer, hasher) = turn.await.map_err(|error| StoreError::Io(error.into()))??;
        offset = end;
    }
    Ok(hasher)
}

fn hash_range(
    file: &File,
    range: Range<u64>,
    buffer: &mut [u8],
    hasher: &mut Hasher,
) -> std::io::Result<()> {
    let mut offset = range.start;
    while offset < range.end {
        let len = (range.end - offset).min(buffer.len() as u64) as usize;
        file.read_exact_at(&mut buffer[..len], offset)?;
        hasher.update(&buffer[..len]);
        offset += len as u64;
    }
    Ok(())
}
