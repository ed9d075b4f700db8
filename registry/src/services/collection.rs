use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use berth_metadata::lifecycle::Verdict;
use berth_metadata::{GarbageId, Job, TakenGarbage, UntaggedManifests, UntaggedSearch};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::control::Told;
use crate::{Registry, RegistryError};

/// How many links are told of at a time.
const LINKS: u32 = 512;

/// How many manifests are looked at in one transaction.
const MANIFESTS: u32 = 500;

/// How many of these between two looks at the clock.
const AT_ONCE: usize = 1000;

/// How long the removal may take before somebody else tries. Whoever has taken half of that stops:
/// removing what somebody else removed could take away what was pushed since.
const REMOVAL: Duration = Duration::from_secs(2 * 60);

/// How long a blob that the store does not remove is left alone, the first time; after each failure
/// twice as long, up to `LONGEST`.
const PAUSE: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);

/// How many times as long as it worked a gentle collection rests: so long that not one request in a hundred meets it.
const REST: u32 = 12;

/// The same of one that has been at it for longer than `LONG`, or that removes bytes, which waits for the disk more
/// than it works.
const SHORT_REST: u32 = 3;
const LONG: Duration = Duration::from_secs(10 * 60);

/// How fast a collection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// In small steps, with a rest after each of several times its length, so that requests find the machine free.
    Gentle,
    /// As fast as it can: somebody waits for the end.
    Brisk,
}

impl Pace {
    /// How many links are looked at in one transaction, which others wait for.
    pub(super) fn links(self) -> u32 {
        match self {
            Self::Gentle => 32,
            Self::Brisk => 1024,
        }
    }

    /// How many blobs are taken at a time to be removed.
    fn blobs(self) -> u32 {
        match self {
            Self::Gentle => 256,
            Self::Brisk => 4000,
        }
    }
}

/// What a collection did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// Manifests that were deleted because nothing stood for them.
    pub untagged: u64,
    /// Links that were looked at and stay.
    pub kept: u64,
    /// Links that went.
    pub unlinked: u64,
    /// Blobs that no repository links any longer: their bytes go after the grace period.
    pub released: u64,
    /// The bytes of these.
    pub released_bytes: u64,
    /// Blobs whose bytes were removed.
    pub removed: u64,
    /// The bytes that this freed.
    pub freed_bytes: u64,
    /// Blobs that the store did not remove; they are tried again later.
    pub failed: u64,
}

impl Registry {
    /// Collects garbage at the configured interval until `stop`.
    pub(super) async fn keep_collecting(&self, stop: CancellationToken) {
        loop {
            let settings = self.config().storage.maintenance.garbagecollection.clone();
            let interval = settings.interval.get();
            if settings.enabled && !self.is_read_only() {
                self.collect_in_turn(interval, &stop).await;
            }
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// One cycle, unless another process was at it lately.
    async fn collect_in_turn(&self, interval: Duration, stop: &CancellationToken) {
        let cycle = async {
            let collected = self.collect(Pace::Gentle, stop, |_| {}).await?;
            match collected {
                Collected { unlinked: 0, removed: 0, failed: 0, .. } => {
                    debug!(kept = collected.kept, "there is no garbage");
                }
                Collected { unlinked, removed, freed_bytes, failed, .. } => {
                    info!(unlinked, removed, freed_bytes, failed, "garbage was collected");
                }
            }
            Ok(())
        };
        if let Err(error) = self.as_job(Job::Collect, interval, cycle).await {
            self.metrics.collection.errors.inc();
            warn!(%error, cause = error.cause(), "garbage could not be collected; the next cycle goes on");
        }
    }

    /// Collects all garbage there is now, or as much as there is time for until `stop`, and tells
    /// `report` of the progress.
    ///
    /// It is safe at any time, beside requests and other collections: only what no manifest needs
    /// and nobody was promised goes, and bytes only when the grace period is over.
    ///
    /// # Errors
    /// When the database fails. What was done until then stays done.
    pub async fn collect(
        &self,
        pace: Pace,
        stop: &CancellationToken,
        mut report: impl FnMut(&Collected),
    ) -> Result<Collected, RegistryError> {
        let started = Instant::now();
        let grace = self.config().storage.maintenance.garbagecollection.graceperiod.get();
        tokio::select! {
            tidied = self.tidy_deletions() => tidied?,
            () = stop.cancelled() => {}
        }
        let mut collected = Collected::default();
        loop {
            let batch = Instant::now();
            let reviewed = self.metadata.review_links(pace.links(), grace).await?;
            let looked = reviewed.kept + reviewed.unlinked;
            collected.kept += reviewed.kept;
            collected.unlinked += reviewed.unlinked;
            collected.released += reviewed.released;
            collected.released_bytes += reviewed.released_bytes;
            self.metrics.collection.unlinked.inc_by(reviewed.unlinked);
            report(&collected);
            if looked < u64::from(pace.links()) || stop.is_cancelled() {
                break;
            }
            let times = if started.elapsed() > LONG { SHORT_REST } else { REST };
            rest_for(pace, times * batch.elapsed(), stop).await;
        }
        // What was taken is removed: a push may wait for the end of that.
        while !stop.is_cancelled() {
            let batch = Instant::now();
            let taken = self.metadata.take_garbage(pace.blobs(), REMOVAL).await?;
            self.remove(&taken, &mut collected).await?;
            report(&collected);
            if taken.len() < pace.blobs() as usize {
                break;
            }
            rest(pace, batch, stop).await;
        }
        let backlog = self.metadata.collection_backlog().await?;
        let now = self.metadata.now().await?;
        self.metrics.collection.cycle_done(started.elapsed(), backlog, now);
        Ok(collected)
    }

    /// Removes bytes. A blob that the store does not remove stops nothing.
    async fn remove(
        &self,
        taken: &[TakenGarbage],
        collected: &mut Collected,
    ) -> Result<(), RegistryError> {
        let taken_at = Instant::now();
        for taken in taken.chunks(AT_ONCE) {
            if taken_at.elapsed() > REMOVAL / 2 {
                // What is left is taken again when its time is over.
                return Ok(());
            }
            self.remove_at_once(taken, collected).await?;
        }
        Ok(())
    }

    async fn remove_at_once(
        &self,
        taken: &[TakenGarbage],
        collected: &mut Collected,
    ) -> Result<(), RegistryError> {
        let blobs: Vec<_> =
            taken.iter().map(|one| (one.blob.digest, one.blob.location.0.clone())).collect();
        let outcomes = self.blobs.delete_many(&blobs).await;
        let mut removed = Vec::with_capacity(taken.len());
        let mut failed: BTreeMap<Duration, Vec<GarbageId>> = BTreeMap::new();
        for (garbage, outcome) in taken.iter().zip(outcomes) {
            match outcome {
                Ok(()) => {
                    removed.push(garbage.id);
                    collected.freed_bytes += garbage.blob.size;
                    self.metrics.collection.freed_bytes.inc_by(garbage.blob.size);
                }
                Err(error) => {
                    let digest = garbage.blob.digest;
                    warn!(%digest, %error, "the bytes of a deleted blob could not be removed; they are tried again later");
                    failed.entry(pause(garbage.id.round)).or_default().push(garbage.id);
                }
            }
        }
        collected.removed += removed.len() as u64;
        self.metrics.collection.removed.inc_by(removed.len() as u64);
        self.metadata.garbage_removed(&removed).await?;
        for (pause, ids) in failed {
            collected.failed += ids.len() as u64;
            self.metrics.collection.failed.inc_by(ids.len() as u64);
            self.metadata.garbage_failed(&ids, pause).await?;
        }
        Ok(())
    }

    /// One collection for somebody who waits for it, or only what it would do.
    pub(crate) async fn collect_as_asked(
        &self,
        dry_run: bool,
        delete_untagged: bool,
        tell: &mpsc::Sender<Told>,
    ) -> Result<Collected, RegistryError> {
        let untagged = match delete_untagged {
            true => self.delete_untagged(dry_run, tell).await?,
            false => 0,
        };
        let collected = match dry_run {
            true => self.survey(tell).await?,
            false => {
                let report = |collected: &Collected| {
                    // Who does not keep up with the progress misses some of it.
                    let _ = tell.try_send(Told::Progress(Collected { untagged, ..*collected }));
                };
                let stop = CancellationToken::new();
                let collected = self.collect(Pace::Brisk, &stop, report).await?;
                self.settle_links().await?;
                collected
            }
        };
        Ok(Collected { untagged, ..collected })
    }

    /// Deletes manifests that no tag, no index and no subject stands for, and that nobody can be
    /// about to push one for: those that are younger than a lease stay.
    async fn delete_untagged(
        &self,
        dry_run: bool,
        tell: &mpsc::Sender<Told>,
    ) -> Result<u64, RegistryError> {
        let age = self.config().storage.maintenance.garbagecollection.lease.get();
        let mut count = 0;
        loop {
            let mut in_pass = 0;
            let mut after = None;
            loop {
                let search = UntaggedSearch { after, age, limit: MANIFESTS };
                let page = self.take_untagged(search, dry_run).await?;
                in_pass += page.manifests.len() as u64;
                for (repository, digest) in page.manifests {
                    let (repository, digest) = (repository.to_string(), digest.to_string());
                    let _ = tell.send(Told::Manifest { repository, digest }).await;
                }
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            count += in_pass;
            // What an index stood for stands alone when that has gone.
            if dry_run || in_pass == 0 {
                return Ok(count);
            }
        }
    }

    /// A page of untagged manifests, which are deleted with what is attached to them, unless it is only
    /// to be seen which they are.
    async fn take_untagged(
        &self,
        search: UntaggedSearch,
        dry_run: bool,
    ) -> Result<UntaggedManifests, RegistryError> {
        if dry_run {
            return Ok(self.metadata.untagged_manifests(search).await?);
        }
        let origin = self.notifications.own_origin(&self.config());
        let events = self.notifications.deleted_content(&origin);
        let page = self.metadata.delete_untagged(search, self.keep(), &events).await?;
        self.finish_deletions(&origin).await?;
        Ok(page)
    }

    /// What a collection would find now. Changes nothing.
    async fn survey(&self, tell: &mpsc::Sender<Told>) -> Result<Collected, RegistryError> {
        let mut collected = Collected::default();
        let mut after = None;
        loop {
            let due = self.metadata.due_links(after, LINKS).await?;
            let full = due.len() == LINKS as usize;
            after = due.last().map(|last| last.cursor);
            for link in due {
                if let Verdict::Keep(_) = link.verdict {
                    collected.kept += 1;
                    continue;
                }
                collected.unlinked += 1;
                if link.is_last {
                    collected.released += 1;
                    collected.released_bytes += link.size;
                }
                let (repository, digest) = (link.repository.to_string(), link.digest.to_string());
                let _ = tell.send(Told::Link { repository, digest, size: link.size }).await;
            }
            if !full {
                return Ok(collected);
            }
        }
    }
}

/// Rests after the work since a moment, unless somebody waits for the end.
pub(super) async fn rest(pace: Pace, since: Instant, stop: &CancellationToken) {
    rest_for(pace, SHORT_REST * since.elapsed(), stop).await;
}

async fn rest_for(pace: Pace, time: Duration, stop: &CancellationToken) {
    match pace {
        Pace::Gentle => tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = stop.cancelled() => {}
        },
        Pace::Brisk => tokio::task::yield_now().await,
    }
}

fn pause(round: u64) -> Duration {
    let doublings = u32::try_from(round.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    PAUSE.saturating_mul(1 << doublings).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit() {
        assert_eq!([1, 2, 3].map(pause), [PAUSE, 2 * PAUSE, 4 * PAUSE]);
        assert_eq!([20, u64::MAX].map(pause), [LONGEST; 2]);
    }
}
