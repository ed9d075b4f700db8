//! Holds that end by themselves when their holder dies.

use std::time::Duration;

use berth_metadata::{HeldUpload, Job, MetadataError, Upload};
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::{Registry, RegistryError};

/// How long a hold outlives the last word of its holder.
const LEASE: Duration = Duration::from_secs(15);

/// How often a holder says that it is there.
const RENEWAL: Duration = Duration::from_secs(5);

/// How often a request asks whether another process has let go of its session.
const RETRY: Duration = Duration::from_millis(250);

impl Registry {
    /// Does `work` on a session while no other process can, provided that the session still stands
    /// where `session` says: another request may have moved it since that was read. The digest of a
    /// session is that of the bytes it was told, and the store must hold no others.
    ///
    /// Between the writers of this process the blob store decides, whose hold on the upload is to
    /// be taken first.
    pub(super) async fn while_held<T>(
        &self,
        session: &Upload,
        work: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        let outcome = match self.hold_when_free(session).await? {
            HeldUpload::Unknown => return Err(RegistryError::UploadUnknown),
            HeldUpload::Busy => return Err(RegistryError::UploadBusy),
            HeldUpload::Held(now) if now.offset != session.offset => {
                Err(RegistryError::UploadOutOfOrder { offset: now.offset })
            }
            HeldUpload::Held(_) => {
                let renew = || self.metadata.renew_upload(session.id, LEASE);
                renewing(work, renew).await.unwrap_or(Err(RegistryError::UploadBusy))
            }
        };
        // What cannot be let go of now ends by itself.
        if let Err(error) = self.metadata.release_upload(session.id).await {
            debug!(upload = %session.id, %error, "an upload session stays held for a while");
        }
        outcome
    }

    /// Takes the hold, and waits for it as long as that of a process that died can last, so that
    /// its client goes on elsewhere and sees no failure. `Busy` tells that the other one is alive.
    async fn hold_when_free(&self, session: &Upload) -> Result<HeldUpload, MetadataError> {
        let end = Instant::now() + LEASE + RETRY;
        loop {
            let held = self.metadata.hold_upload(&session.repository, session.id, LEASE).await?;
            if !matches!(held, HeldUpload::Busy) || Instant::now() > end {
                return Ok(held);
            }
            sleep(RETRY).await;
        }
    }

    /// Does `work` that one process at a time does, unless another one is at it or it was done less
    /// than `pause` ago.
    pub(crate) async fn as_job(
        &self,
        job: Job,
        pause: Duration,
        work: impl Future<Output = Result<(), RegistryError>>,
    ) -> Result<(), RegistryError> {
        if !self.metadata.take_job(job.clone(), LEASE, pause).await? {
            return Ok(());
        }
        let renew = || self.metadata.take_job(job.clone(), LEASE, Duration::ZERO);
        let Some(outcome) = renewing(work, renew).await else { return Ok(()) };
        self.metadata.leave_job(job, outcome.is_ok()).await?;
        outcome
    }
}

/// Does `work`, and renews the hold on it meanwhile; `None` when the hold was lost, and with it the
/// right to go on. While the database cannot be asked nobody else can take the hold either.
async fn renewing<T, E, R>(work: impl Future<Output = T>, mut renew: impl FnMut() -> R) -> Option<T>
where
    R: Future<Output = Result<bool, E>>,
{
    let lost = async {
        loop {
            sleep(RENEWAL).await;
            if let Ok(false) = renew().await {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        outcome = work => Some(outcome),
        () = lost => None,
    }
}
