use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use berth_metadata::{BlobRecord, FetchKey, MountSource};
use berth_mirror::{
    Arrival, Arriving, Fetch, Landing, MirrorError, Progress, Source, Via, WrongDigest,
};
use berth_oci::{Digest, Reference, RepositoryName, UploadId};
use futures_util::{FutureExt, stream};
use tokio::sync::watch;
use tracing::warn;

use super::unkept;
use crate::notifications::Origin;
use crate::services::body::{self, BodyError, BodyReader, Next};
use crate::services::ingest::Ingest;
use crate::{Registry, RegistryError};

/// How long a fetch may bring nothing: it sees to that itself, upstream by upstream.
const NO_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A blob that somebody wants to read.
#[derive(Debug)]
pub(crate) enum PulledBlob {
    /// It is here.
    Here(BlobRecord),
    /// It is on its way.
    Arriving(Arriving),
}

impl Registry {
    /// The blob, if the repository links it, or an upstream has it.
    pub(crate) async fn pull_blob(
        self: &Arc<Self>,
        repository: &RepositoryName,
        digest: &Digest,
        via: &Via,
    ) -> Result<PulledBlob, RegistryError> {
        let source = self.mirror.source(repository);
        let source = match (self.stat_blob(repository, digest).await, source) {
            (Err(RegistryError::BlobUnknown(_)), Some(source)) => source.behind(via)?,
            (here, source) => {
                let here = here?;
                if source.is_some() {
                    self.metrics.mirror.hits.inc();
                    self.metrics.mirror.saved_bytes.inc_by(here.size);
                }
                return Ok(PulledBlob::Here(here));
            }
        };
        let registry = self.clone();
        let flight = (repository.clone(), *digest);
        let key =
            FetchKey { repository: repository.clone(), reference: Reference::Digest(*digest) };
        let fetch = self.mirror.blobs.join(flight, |landing| async move {
            registry.fetch_blob_as_only_one(&source, &key, landing).await;
        });
        let (told, joined) = fetch.await;
        if joined {
            self.metrics.mirror.coalesced.inc();
            if let Some(Ok(Arriving { size: Some(size), .. })) = &told {
                self.metrics.mirror.saved_bytes.inc_by(*size);
            }
        }
        match told {
            Some(Ok(arriving)) => Ok(PulledBlob::Arriving(arriving)),
            Some(Err(error)) if error.is_not_found() => Err(RegistryError::BlobUnknown(*digest)),
            Some(Err(error)) => Err(error.into()),
            // Another process has fetched it, or it was here in another repository.
            None => Ok(PulledBlob::Here(self.stat_blob(repository, digest).await?)),
        }
    }

    /// The size of a blob that the repository links, or that an upstream has, to be told and no more:
    /// nothing is fetched for it.
    pub(crate) async fn look_for_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        via: &Via,
    ) -> Result<u64, RegistryError> {
        let here = self.promise_blob(repository, digest).await;
        let (Err(RegistryError::BlobUnknown(_)), Some(source)) =
            (&here, self.mirror.source(repository))
        else {
            return Ok(here?.size);
        };
        match source.behind(via)?.blob_size(digest).await {
            Ok(Some(size)) => Ok(size),
            Ok(None) => Err(MirrorError::Unkept {
                reason: "the upstream does not say how large it is".to_owned(),
            }
            .into()),
            Err(error) if error.is_not_found() => Err(RegistryError::BlobUnknown(*digest)),
            Err(error) => Err(error.into()),
        }
    }

    /// Links a blob that another repository here has, where the upstream says that this one has it, too.
    /// That is for the upstream to say: a manifest may name what its author never saw.
    async fn link_known_blob(
        &self,
        source: &Source,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        if self.is_read_only()
            || !self.metadata.knows_blob(digest).await?
            || source.blob_size(digest).await.is_err()
        {
            return Ok(false);
        }
        let lease = self.config().storage.maintenance.garbagecollection.lease.get();
        let linked =
            self.metadata.mount_blob(repository, MountSource::Any, digest, lease, &[]).await?;
        Ok(linked.is_some())
    }

    async fn fetch_blob_as_only_one(
        &self,
        source: &Source,
        key: &FetchKey,
        landing: Landing<Result<Arriving, MirrorError>>,
    ) {
        let Reference::Digest(digest) = &key.reference else { return };
        let is_here = || self.has_blob(&key.repository, digest).boxed();
        let fetch = Box::pin(self.fetch_blob(source, &key.repository, digest, &landing));
        let fetched = match self.as_only_fetcher(key, is_here, fetch).await {
            Ok(Some(fetched)) => fetched,
            Ok(None) => Ok(()),
            Err(error) => Err(unkept(error)),
        };
        if let Err(error) = fetched {
            landing.tell(Err(error));
        }
    }

    async fn has_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        match self.stat_blob(repository, digest).await {
            Ok(_) => Ok(true),
            Err(RegistryError::BlobUnknown(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Fetches a blob into the store, unless it can be linked. From the moment that bytes can come all
    /// who wait are given what they follow it by. An error is one of before that moment, or they know it
    /// already.
    async fn fetch_blob(
        &self,
        source: &Source,
        repository: &RepositoryName,
        digest: &Digest,
        landing: &Landing<Result<Arriving, MirrorError>>,
    ) -> Result<(), MirrorError> {
        if self.link_known_blob(source, repository, digest).await.map_err(unkept)? {
            return Ok(());
        }
        self.metrics.mirror.misses.inc();
        let fetch = source.blob(digest).await?;
        let size = fetch.size();
        if let Some(size) = size {
            self.refuse_blob_over_quota(repository, digest, size).await.map_err(over_quota)?;
        }
        self.refuse_when_read_only().map_err(unkept)?;
        let handle = self.blobs.begin_upload(UploadId::random()).await.map_err(unkept)?;
        let writer = self.blobs.continue_upload(&handle, 0).await.map_err(unkept)?;
        let (file, copy) = match writer.file() {
            Some(file) => (file, None),
            // The store does not give back what it has not got whole.
            None => {
                let file = Arc::new(tempfile::tempfile().map_err(unkept)?);
                (file.clone(), Some(file))
            }
        };
        let (progress, followed) = watch::channel(Progress::nothing());
        landing.tell(Ok(Arriving { digest: *digest, size, file, progress: followed }));
        let upstream = fetch.upstream().to_owned();
        let ingest = Ingest::new(writer, digest.algorithm());
        let is_wanted =
            || source.finishes() || landing.is_awaited() || progress.receiver_count() > 1;
        let received = self.receive_blob(ingest, fetch, copy, &progress, is_wanted).await;
        let ended = match received {
            Ok(ingest) => match ingest.hasher.clone().finish() {
                actual if actual == *digest => Ok(ingest),
                actual => Err(Box::new(WrongDigest { upstream, expected: *digest, actual }).into()),
            },
            Err(error) => Err(error),
        };
        let ingest = match ended {
            Ok(ingest) => ingest,
            Err(error) => {
                warn!(%repository, %digest, %error, "a fetch failed");
                progress.send_modify(|progress| progress.state = Arrival::Failed(error.clone()));
                // If this fails too, the housekeeping finds the bytes.
                let _ = self.blobs.abort_upload(&handle).await;
                return Err(error);
            }
        };
        // Who follows it may have its end: whether it can be kept is another matter.
        progress.send_modify(|progress| progress.state = Arrival::Verified);
        let kept = self.commit(None, repository, digest, ingest, &Origin::default()).await;
        if let Err(error) = kept {
            warn!(%repository, %digest, %error, "a blob that was fetched is not kept");
            let _ = self.blobs.abort_upload(&handle).await;
        }
        if source.is_bounded() {
            self.mirror.grown.notify_one();
        }
        Ok(())
    }

    /// Takes all bytes of a fetch, and tells how far they are.
    async fn receive_blob(
        &self,
        mut ingest: Ingest,
        fetch: Fetch,
        copy: Option<Arc<File>>,
        progress: &watch::Sender<Progress>,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Ingest, MirrorError> {
        let frames = stream::try_unfold(fetch, |mut fetch| async move {
            match fetch.next().await {
                Ok(Some(bytes)) => Ok(Some((bytes, fetch))),
                Ok(None) => Ok(None),
                Err(error) => Err(error.to_string()),
            }
        });
        let (pump, mut body) = body::body(frames, false, NO_LIMIT, self.upload_memory.clone());
        let taken = {
            let take = self.take_fetched(&mut ingest, &mut body, copy, progress, is_wanted);
            tokio::pin!(take);
            // When the store fails, nobody takes what the pump still has.
            tokio::select! {
                biased;
                taken = &mut take => taken,
                () = pump.run() => take.await,
            }
        };
        taken.map(|()| ingest)
    }

    async fn take_fetched(
        &self,
        ingest: &mut Ingest,
        body: &mut BodyReader,
        copy: Option<Arc<File>>,
        progress: &watch::Sender<Progress>,
        is_wanted: impl Fn() -> bool,
    ) -> Result<(), MirrorError> {
        loop {
            if !is_wanted() {
                return Err(MirrorError::Unwanted);
            }
            let batch = match body.next().await {
                Next::End => return Ok(()),
                Next::Failed(error) => return Err(broken_off(error)),
                Next::Batch(batch) => batch,
            };
            if let Some(file) = copy.clone() {
                let (chunks, offset) = (batch.chunks.clone(), ingest.offset);
                let written = tokio::task::spawn_blocking(move || write_at(&file, &chunks, offset));
                written.await.map_err(unkept)?.map_err(unkept)?;
            }
            self.metrics.mirror.fetched_bytes.inc_by(batch.len as u64);
            ingest.process(batch).await.map_err(unkept)?;
            progress.send_modify(|progress| progress.written = ingest.offset);
        }
    }
}

fn over_quota(error: RegistryError) -> MirrorError {
    match error {
        RegistryError::QuotaExceeded(quota) => MirrorError::OverQuota { reason: quota.to_string() },
        error => unkept(error),
    }
}

fn write_at(file: &File, chunks: &[bytes::Bytes], mut offset: u64) -> std::io::Result<()> {
    for chunk in chunks {
        file.write_all_at(chunk, offset)?;
        offset += chunk.len() as u64;
    }
    Ok(())
}

fn broken_off(error: BodyError) -> MirrorError {
    let reason = match error {
        BodyError::Timeout => "nothing came for too long".to_owned(),
        BodyError::Broken(reason) => reason,
    };
    MirrorError::BrokenOff { reason }
}
