use std::time::Instant;

use berth_metadata::{BlobLocation, BlobRecord, FinishedUpload, NewUpload, Upload, UploadProgress};
use berth_oci::{Algorithm, Digest, Hasher, RepositoryName, UploadId};

use super::body::{BodyError, BodyReader};
use super::ingest::{Ingest, rehash, verify};
use crate::notifications::Origin;
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
        self.refuse_upload_without_room(repository).await?;
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
        let session = self.session(repository, id).await?;
        // A crash between making the bytes a blob and recording it leaves a session without
        // bytes. It cannot go on, so it must not look as if it could.
        self.blobs.open_upload(&session.handle, session.offset).await?;
        Ok(session.offset)
    }

    /// Appends a chunk and gives the new offset. When the body breaks off, what came is kept and
    /// the session stands behind it.
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
        let ingest = self.continue_session(&session).await?;
        let append = async {
            let (ingest, broken) = self.receive(&session, ingest, body).await?;
            if broken.is_none() {
                place.check_len(ingest.offset - session.offset)?;
            }
            let offset = ingest.offset;
            self.record_progress(&session, ingest).await?;
            match broken {
                Some(error) => Err(error.into()),
                None => Ok(offset),
            }
        };
        Box::pin(self.while_held(&session, append)).await
    }

    /// Ends a session with the blob `digest`, the body being its last chunk. When the body breaks
    /// off, what came is kept; on a wrong digest the session stands where it stood before.
    pub(crate) async fn finish_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
        digest: &Digest,
        place: ChunkPlace,
        body: &mut BodyReader,
        origin: &Origin,
    ) -> Result<(), RegistryError> {
        self.refuse_when_read_only()?;
        let session = self.session(repository, id).await?;
        place.check_first(session.offset)?;
        let ingest = self.continue_session(&session).await?;
        let finish = async {
            let (ingest, broken) = self.receive(&session, ingest, body).await?;
            if let Some(error) = broken {
                self.record_progress(&session, ingest).await?;
                return Err(error.into());
            }
            place.check_len(ingest.offset - session.offset)?;
            self.commit(Some(&session), repository, digest, ingest, origin).await
        };
        Box::pin(self.while_held(&session, finish)).await
    }

    /// Takes a blob that comes whole in one request.
    pub(crate) async fn upload_whole(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        place: ChunkPlace,
        body: &mut BodyReader,
        origin: &Origin,
    ) -> Result<(), RegistryError> {
        self.refuse_when_read_only()?;
        if let Some(size) = place.len {
            self.refuse_blob_over_quota(repository, digest, size).await?;
        }
        let handle = self.blobs.begin_upload(UploadId::random()).await?;
        let writer = self.blobs.continue_upload(&handle, 0).await?;
        let mut ingest = Ingest::new(writer, digest.algorithm());
        let taken = match ingest.take(body).await {
            Ok(None) => place.check_len(ingest.offset),
            Ok(Some(error)) => Err(error.into()),
            Err(error) => Err(error),
        };
        let ended = match taken {
            Ok(()) => self.commit(None, repository, digest, ingest, origin).await,
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

    /// Takes a body into the session's upload, and tells how it broke off, if it did. When the
    /// store fails, the session stays where it is.
    async fn receive(
        &self,
        session: &Upload,
        mut ingest: Ingest,
        body: &mut BodyReader,
    ) -> Result<(Ingest, Option<BodyError>), RegistryError> {
        match ingest.take(body).await {
            Ok(broken) => Ok((ingest, broken)),
            Err(error) => {
                drop(ingest);
                if !matches!(error, RegistryError::UploadUnknown) {
                    self.give_back(session).await;
                }
                Err(error)
            }
        }
    }

    /// Drops the bytes of a chunk that could not be stored, so that a full disk gets them back
    /// although the session stays.
    async fn give_back(&self, session: &Upload) {
        if let Ok(mut writer) = self.blobs.continue_upload(&session.handle, session.offset).await {
            // What cannot be given back now is overwritten or purged later.
            let _ = writer.sync().await;
        }
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
    pub(super) async fn commit(
        &self,
        session: Option<&Upload>,
        repository: &RepositoryName,
        digest: &Digest,
        mut ingest: Ingest,
        origin: &Origin,
    ) -> Result<(), RegistryError> {
        let hasher = match session {
            Some(_) if ingest.hasher.algorithm() != digest.algorithm() => {
                let stored = ingest.writer.seal().await?;
                rehash(digest.algorithm(), stored).await?
            }
            _ => ingest.hasher,
        };
        verify(digest, hasher.finish())?;
        self.refuse_blob_over_quota(repository, digest, ingest.offset).await?;
        let settings = &self.config().storage.maintenance.garbagecollection;
        let (lease, grace) = (settings.lease.get(), settings.graceperiod.get());
        let placed_at = Instant::now();
        let placed = ingest.writer.finish(digest).await?;
        let events = self.notifications.pushed_blob(origin, repository, *digest, ingest.offset);
        let finished = FinishedUpload {
            id: session.map(|session| session.id),
            repository: repository.clone(),
            blob: BlobRecord {
                digest: *digest,
                size: ingest.offset,
                location: BlobLocation(placed.location),
            },
            lease,
            grace,
            seen: None,
            events: events.clone(),
        };
        self.record(finished, &*placed.hold, placed_at).await?;
        // Now the database tells that the blob is no orphan, and its hold may go.
        self.notifications.recorded(&events);
        Ok(())
    }
}
