//! Looking, all the time, whether stored bytes are still what their digests say.
//!
//! - `verify` reads a blob and tells its condition; `pace` keeps it at a rate; `samples` are blobs that were
//!   just read.
//! - `repair` gets good bytes from somewhere else; `peers` are registries that may have them.
//! - `links` compares the storage tree's link files with the database.
//!
//! A damaged blob goes into quarantine: its row says so, so that every replica refuses to serve it, and
//! whoever asks whether it is there is told no, and pushes it. That push is the first way to repair it.

mod links;
mod pace;
mod peers;
mod repair;
mod samples;
mod verify;

use std::time::{Duration, Instant};

use berth_metadata::{BlobLocation, BlobRecord, DamagedBlob, Job, NamedBlob, UpkeepStore};
use berth_oci::Digest;
use berth_storage_backends::{OpenBlob, is_quarantined};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::control::Told;
use crate::{Registry, RegistryError};
use pace::Pace;
pub(crate) use peers::peers;
pub(crate) use samples::Samples;
use verify::Condition;

/// How many blobs are taken from the database at a time.
const PAGE: u32 = 256;

/// How often the progress is told.
const PROGRESS: Duration = Duration::from_millis(250);

/// What a scrub found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrubbed {
    /// Blobs that were read.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that turned out to be damaged.
    pub damaged: u64,
    /// Damaged blobs that were repaired, those that were known too.
    pub repaired: u64,
    /// Damaged blobs that are left: they are in quarantine.
    pub left: u64,
    /// Blobs that the store did not let us read.
    pub unreadable: u64,
    /// Link files of the storage tree that were missing or wrong, and were written anew.
    pub links: u64,
}

/// A damaged blob that a scrub tells of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// The blob.
    pub digest: Digest,
    /// What is wrong with it.
    pub reason: String,
    /// Where good bytes came from, if they did.
    pub repaired_from: Option<String>,
}

/// What became of a blob.
#[derive(Debug)]
enum Outcome {
    Good(u64),
    Damaged(Damage),
    Unreadable,
}

impl Registry {
    pub(crate) fn upkeep(&self) -> Result<&dyn UpkeepStore, RegistryError> {
        let missing = || RegistryError::Internal { cause: "there is no upkeep store".to_owned() };
        self.upkeep.as_deref().ok_or_else(missing)
    }

    /// Reads every blob as fast as the machine goes, or at `rate` bytes a second, and repairs what can be
    /// repaired.
    ///
    /// # Errors
    /// When the database fails. What was found until then stays found.
    pub async fn scrub(
        &self,
        rate: Option<u64>,
        tell: &mpsc::Sender<Told>,
    ) -> Result<Scrubbed, RegistryError> {
        let upkeep = self.upkeep()?;
        let pace = Pace::of(rate);
        let mut scrubbed = Scrubbed::default();
        let mut told_at = Instant::now();
        let mut after = None;
        loop {
            let page = upkeep.blobs(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.cursor);
            let mut looking = stream::iter(page)
                .map(|NamedBlob { blob, .. }| self.look_at(blob, &pace))
                .buffer_unordered(pace.side_by_side());
            while let Some(outcome) = looking.try_next().await? {
                self.count(&mut scrubbed, outcome, tell).await;
                if told_at.elapsed() >= PROGRESS {
                    told_at = Instant::now();
                    let _ = tell.send(Told::Scrubbing(scrubbed)).await;
                }
            }
        }
        scrubbed.links = self.repair_links(upkeep).await?;
        Ok(scrubbed)
    }

    /// Tells of the blobs that are in quarantine, by digest.
    pub(crate) async fn tell_damaged(
        &self,
        tell: &mpsc::Sender<Told>,
    ) -> Result<(), RegistryError> {
        let upkeep = self.upkeep()?;
        let mut after = None;
        loop {
            let page = upkeep.damaged_blobs(after.as_ref(), PAGE).await?;
            after = page.entries.last().map(|damaged| damaged.blob.digest);
            for DamagedBlob { blob, reason, .. } in page.entries {
                let damage = Damage { digest: blob.digest, reason, repaired_from: None };
                // Whoever asked may have gone.
                let _ = tell.send(Told::Damaged(damage)).await;
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    async fn count(&self, scrubbed: &mut Scrubbed, outcome: Outcome, tell: &mpsc::Sender<Told>) {
        match outcome {
            Outcome::Good(bytes) => {
                scrubbed.blobs += 1;
                scrubbed.bytes += bytes;
            }
            Outcome::Unreadable => scrubbed.unreadable += 1,
            Outcome::Damaged(damage) => {
                scrubbed.damaged += 1;
                match damage.repaired_from {
                    Some(_) => scrubbed.repaired += 1,
                    None => scrubbed.left += 1,
                }
                // Whoever asked may have gone.
                let _ = tell.send(Told::Damaged(damage)).await;
            }
        }
    }

    /// Looks at blobs one after the other at the configured rate, in rounds, until `stop`; at those that
    /// were sampled from reads first.
    pub(crate) async fn keep_scrubbing(&self, stop: CancellationToken) {
        let Some(mut samples) = self.samples.take() else { return };
        let mut next_round = Instant::now();
        // When the round began that is going on.
        let mut begun = None;
        loop {
            let settings = self.config().storage.scrub.clone();
            tokio::select! {
                () = tokio::time::sleep(settings.pause.get()) => {}
                () = stop.cancelled() => return,
            }
            if !settings.enabled || self.upkeep.is_none() {
                continue;
            }
            let turn = async {
                self.scrub_samples(&mut samples).await?;
                let now = Instant::now();
                if now < next_round {
                    return Ok(());
                }
                let since = *begun.get_or_insert(now);
                if self.scrub_a_page().await? {
                    next_round = since + settings.period.get();
                    begun = None;
                }
                Ok(())
            };
            tokio::select! {
                outcome = self.as_job(Job::Scrub, Duration::ZERO, turn) => {
                    if let Err(error) = outcome {
                        warn!(%error, cause = error.cause(), "stored blobs could not be looked at; it goes on later");
                    }
                }
                () = stop.cancelled() => return,
            }
        }
    }

    async fn scrub_samples(
        &self,
        samples: &mut mpsc::Receiver<BlobRecord>,
    ) -> Result<(), RegistryError> {
        let pace = self.configured_pace();
        while let Ok(blob) = samples.try_recv() {
            self.look_at(blob, &pace).await?;
        }
        Ok(())
    }

    /// Looks at the next blobs, and tells whether that was the end of a round.
    async fn scrub_a_page(&self) -> Result<bool, RegistryError> {
        let upkeep = self.upkeep()?;
        let pace = self.configured_pace();
        let page = upkeep.blobs(upkeep.scrub_position().await?, PAGE).await?;
        for NamedBlob { blob, .. } in &page {
            self.look_at(blob.clone(), &pace).await?;
        }
        if let Some(last) = page.last() {
            upkeep.set_scrub_position(Some(last.cursor)).await?;
            return Ok(false);
        }
        let links = self.repair_links(upkeep).await?;
        self.metrics.scrub.rounds.inc();
        info!(links, "all stored blobs have been looked at");
        upkeep.set_scrub_position(None).await?;
        Ok(true)
    }

    fn configured_pace(&self) -> Pace {
        Pace::of(Some(self.config().storage.scrub.rate.bytes()))
    }

    /// Has a blob that was read looked at once more, every so many reads.
    pub(crate) fn sample(&self, blob: &BlobRecord) {
        self.samples.note(blob, self.config.load().storage.scrub.sample);
    }

    /// Reads a blob and, if it is damaged, puts it into quarantine and tries to repair it. One that is in
    /// quarantine already is only tried to be repaired.
    async fn look_at(&self, blob: BlobRecord, pace: &Pace) -> Result<Outcome, RegistryError> {
        let digest = blob.digest;
        let reason = if is_quarantined(&blob.location.0) {
            "it is in quarantine".to_owned()
        } else {
            match self.condition(&blob, pace).await {
                Ok(Condition::Good) => {
                    self.metrics.scrub.looked_at(blob.size);
                    return Ok(Outcome::Good(blob.size));
                }
                Ok(Condition::Damaged { reason, looked_at }) => {
                    let reason = self.quarantine(&blob, looked_at.as_ref(), reason).await?;
                    // Somebody has pushed it anew, or deleted it, while we looked.
                    let Some(reason) = reason else { return Ok(Outcome::Good(blob.size)) };
                    reason
                }
                Err(error) => {
                    warn!(%digest, %error, cause = error.cause(), "a blob could not be looked at");
                    return Ok(Outcome::Unreadable);
                }
            }
        };
        // Seldom, and the larger part of the future.
        let repaired_from = Box::pin(self.repair(&blob)).await?;
        if let Some(source) = &repaired_from {
            self.metrics.scrub.repaired.inc();
            info!(%digest, source, "a damaged blob was repaired");
        }
        Ok(Outcome::Damaged(Damage { digest, reason, repaired_from }))
    }

    /// Reads a blob at full speed and puts it into quarantine if it is damaged: then it says why.
    pub(crate) async fn verify_and_quarantine(
        &self,
        blob: &BlobRecord,
    ) -> Result<Option<String>, RegistryError> {
        if is_quarantined(&blob.location.0) {
            return Ok(Some("it is in quarantine".to_owned()));
        }
        match self.condition(blob, &Pace::of(None)).await? {
            Condition::Good => Ok(None),
            Condition::Damaged { reason, looked_at } => {
                self.quarantine(blob, looked_at.as_ref(), reason).await
            }
        }
    }

    /// Takes a damaged blob out of service; `None` when it is another one by now.
    async fn quarantine(
        &self,
        blob: &BlobRecord,
        looked_at: Option<&OpenBlob>,
        reason: String,
    ) -> Result<Option<String>, RegistryError> {
        let BlobRecord { digest, location, .. } = blob;
        let to = self.blobs.quarantine(digest, &location.0, looked_at).await?;
        let to = BlobLocation(to);
        if !self.upkeep()?.quarantine_blob(blob, &to, &reason).await? {
            debug!(%digest, "a damaged blob was replaced or deleted meanwhile");
            return Ok(None);
        }
        self.metrics.scrub.damaged.inc();
        error!(%digest, reason, "a stored blob is damaged; it is in quarantine until it is pushed again");
        Ok(Some(reason))
    }
}
