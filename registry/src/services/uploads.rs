use berth_metadata::{BlobLocation, BlobRecord, FinishedUpload, NewUpload, Upload, UploadProgress};
use berth_oci::{Algorithm, Digest, Hasher, RepositoryName, UploadId};

use super::LEASE;
use super::body::BodyReader;
use super::ingest::{Ingest, rehash, verify};
use crate::{Registry, RegistryError};

/// What a client says of the place and length of a chunk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ChunkPlace {
    /// The first byte's place in the blob, where the client told it.
    pub(crate) first: Option<u64>,
    /// The number of bytes, where the client told it.
    pub(crate) len: Option<u64>,
}

impl ChunkPlace {
    fn check_first(&self, offset: u64) -> Result<(), RegistryError> {
        match self.first {
            Some(first) if first != offset => Err(RegistryError::UploadOutOfOrder { offset }),
            _ => Ok(()),
        }
    }

    fn check_len(&self, received: u64) -> Result<(), RegistryError> {
        match self.len {
            Some(announced) if announced != received => {
                Err(RegistryError::SizeMismatch { announced, received })
            }
            _ => Ok(()),
        }
    }
}

impl Registry {
    /// Opens a session.
    pub(crate) async fn start_upload(
        &self,
        repository: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<UploadId, RegistryError> {
        self.refuse_when_read_only()?;
        let id = UploadId::random();
        let handle = self.blobs.begin_upload(id).await?;
        let hash_state = Hasher::new(algorithm).save();
        let repository = repository.clone();
        self.metadata
            .create_upload(NewUpload { id, repository, algorithm, hash_state, handle })
            .await?;
        Ok(id)
    }

    /// The number of bytes that a session has.
    pub(crate) async fn upload_offset(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<u64, RegistryError> {
        Ok(self.session(repository, id).await?.offset)
    }

    /// Appends a chunk and gives the new offset. When the body breaks off, what came is kept and
    /// the session stands behind it, unless the client announced where the chunk ends.
    pub(crate) async fn append_to_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
        place: ChunkPlace,
        body: &mut BodyReader,
    ) -> Result<u64, RegistryError> {
        self.refuse_when_read_only()?;
        let session = self.session(repository, id).await?;
        place.check_first(session.offset)?;
        let mut ingest = self.continue_session(&session).await?;
        // Between reading the session and taking hold of the upload, another request may have
        // moved it. Nothing has been changed yet.
        let now = self.session(repository, id).await?;
        if now.offset != session.offset {
            return Err(RegistryError::UploadOutOfOrder { offset: now.offset });
        }
        let broken = ingest.take(body, &self.upload_memory).await?;
        if broken.is_none() {
            place.check_len(ingest.offset - session.offset)?;
        }
        let offset = ingest.offset;
        self.record_progress(&session, ingest).await?;
        match broken {
            Some(error) => Err(error.into()),
            None => Ok(offset),
        }
    }

    /// Ends a session with the blob `digest`, the body being its last chunk. On a wrong digest the
    /// session stands where it stood before.
    pub(crate) async fn finish_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
        digest: &Digest,
        place: ChunkPlace,
        body: &mut BodyReader,
    ) -> Result<(), RegistryError> {
        self.refuse_when_read_only()?;
        let session = self.session(repository, id).await?;
        place.check_first(session.offset)?;
        let mut ingest = match self.continue_session(&session).await {
            // The bytes are gone: a crash came between making them a blob and recording it.
            Err(RegistryError::UploadUnknown) => {
                self.metadata.delete_upload(repository, id).await?;
                return Err(RegistryError::UploadUnknown);
            }
            other => other?,
        };
        if session.offset > 0 {
            let now = self.session(repository, id).await?;
            if now.offset != session.offset {
                return Err(RegistryError::UploadOutOfOrder { offset: now.offset });
            }
        }
        if let Some(error) = ingest.take(body, &self.upload_memory).await? {
            return Err(error.into());
        }
        place.check_len(ingest.offset - session.offset)?;
        self.commit(Some(&session), repository, digest, ingest).await
    }

    /// Takes a blob that comes whole in one request.
    pub(crate) async fn upload_whole(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        place: ChunkPlace,
        body: &mut BodyReader,
    ) -> Result<(), RegistryError> {
        self.refuse_when_read_only()?;
        let handle = self.blobs.begin_upload(UploadId::random()).await?;
        let writer = self.blobs.continue_upload(&handle, 0).await?;
        let hasher = Hasher::new(digest.algorithm());
        let mut ingest = Ingest { writer, hasher, offset: 0 };
        let taken = match ingest.take(body, &self.upload_memory).await {
            Ok(None) => place.check_len(ingest.offset),
            Ok(Some(error)) => Err(error.into()),
            Err(error) => Err(error),
        };
        let ended = match taken {
            Ok(()) => self.commit(None, repository, digest, ingest).await,
            Err(error) => Err(error),
        };
        if ended.is_err() {
            // No session knows these bytes. If this fails too, the housekeeping finds them.
            let _ = self.blobs.abort_upload(&handle).await;
        }
        ended
    }

    /// Ends a session without a blob.
    pub(crate) async fn cancel_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<(), RegistryError> {
        let session = self.session(repository, id).await?;
        if !self.metadata.delete_upload(repository, id).await? {
            return Err(RegistryError::UploadUnknown);
        }
        Ok(self.blobs.abort_upload(&session.handle).await?)
    }

    async fn session(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Upload, RegistryError> {
        self.metadata.upload(repository, id).await?.ok_or(RegistryError::UploadUnknown)
    }

    async fn continue_session(&self, session: &Upload) -> Result<Ingest, RegistryError> {
        let writer = self.blobs.continue_upload(&session.handle, session.offset).await?;
        let hasher = match Hasher::restore(&session.hash_state) {
            Some(hasher) => hasher,
            // Another version of berth kept it.
            None => {
                let stored = self.blobs.open_upload(&session.handle, session.offset).await?;
                rehash(session.algorithm, stored).await?
            }
        };
        Ok(Ingest { writer, hasher, offset: session.offset })
    }

    /// Records how far a session has come, once the bytes are on stable storage.
    async fn record_progress(
        &self,
        session: &Upload,
        mut ingest: Ingest,
    ) -> Result<(), RegistryError> {
        if ingest.offset == session.offset {
            return Ok(());
        }
        let handle = ingest.writer.sync().await?;
        let progress = UploadProgress {
            id: session.id,
            from_offset: session.offset,
            offset: ingest.offset,
            hash_state: ingest.hasher.save(),
            handle,
        };
        match self.metadata.advance_upload(progress).await? {
            true => Ok(()),
            false => Err(RegistryError::UploadUnknown),
        }
    }

    /// Verifies the bytes, makes them durable under their digest, links them, in this order.
    async fn commit(
        &self,
        session: Option<&Upload>,
        repository: &RepositoryName,
        digest: &Digest,
        mut ingest: Ingest,
    ) -> Result<(), RegistryError> {
        let hasher = match session {
            Some(_) if ingest.hasher.algorithm() != digest.algorithm() => {
                let handle = ingest.writer.sync().await?;
                let stored = self.blobs.open_upload(&handle, ingest.offset).await?;
                rehash(digest.algorithm(), stored).await?
            }
            _ => ingest.hasher,
        };
        verify(digest, hasher.finish())?;
        let location = ingest.writer.finish(digest).await?;
        let finished = FinishedUpload {
            id: session.map(|session| session.id),
            repository: repository.clone(),
            blob: BlobRecord {
                digest: *digest,
                size: ingest.offset,
                location: BlobLocation(location),
            },
            lease: LEASE,
        };
        match self.metadata.finish_upload(finished).await? {
            true => Ok(()),
            false => Err(RegistryError::UploadUnknown),
        }
    }
}
