use std::time::Duration;

use berth_metadata::{BlobLocation, Job, OutboxEntry};
use berth_oci::{Digest, LinkChange};
use berth_storage_backends::LinkTree;
use tokio::sync::RwLockWriteGuard;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{Registry, RegistryError};

/// How many changes one round applies.
const ROUND: u32 = 4096;

/// How many full rounds in a row are applied behind whatever else the machine does. On one that has no time
/// left the tree would fall back ever further.
const ROUNDS_BEHIND: u32 = 64;

/// How long to wait between two rounds, so that a busy registry syncs its tree once for many
/// changes.
const PAUSE: Duration = Duration::from_secs(1);

/// How long to wait after a failure.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);

impl Registry {
    /// Keeps the storage tree's link files, or the journal, in step with the database until `stop`, and
    /// then applies what is left. One process at a time does it.
    pub(super) async fn follow_outbox(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = self.metadata.outbox_filled() => {}
                () = stop.cancelled() => break,
            }
            let followed = self.drain_outbox(Some(&stop));
            let pause = match self.as_job(Job::Links, Duration::ZERO, followed).await {
                Ok(()) => PAUSE,
                Err(error) => {
                    warn!(%error, cause = error.cause(), "the storage's links or its journal lag behind");
                    PAUSE_AFTER_FAILURE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => break,
            }
        }
        if let Err(error) = self.settle_links().await {
            warn!(%error, cause = error.cause(), "the storage's links or its journal were left behind; the next start catches up");
        }
    }

    /// Brings the storage tree's link files up to date now, unless another process is at it, or they have to
    /// stand still.
    pub(crate) async fn settle_links(&self) -> Result<(), RegistryError> {
        self.as_job(Job::Links, Duration::ZERO, self.drain_outbox(None)).await
    }

    /// Has the storage tree's link files stand still for as long as the answer lives. What is changed
    /// meanwhile follows then.
    pub(crate) async fn hold_links(&self) -> LinksHold<'_> {
        LinksHold { registry: self, turn: Some(self.links_turn.write().await) }
    }

    /// Somebody waits for it, or will from `stop` on.
    async fn drain_outbox(&self, stop: Option<&CancellationToken>) -> Result<(), RegistryError> {
        // Somebody needs the tree to stand still, and tells when it need not any longer.
        let Ok(_turn) = self.links_turn.try_read() else { return Ok(()) };
        match (self.blobs.link_tree(), self.blobs.files()) {
            (Some(tree), _) => self.drain_into_tree(tree, stop).await,
            (None, Some(files)) => self.drain_into_journal(files).await,
            (None, None) => Ok(()),
        }
    }

    async fn drain_into_tree(
        &self,
        tree: &dyn LinkTree,
        stop: Option<&CancellationToken>,
    ) -> Result<(), RegistryError> {
        let mut rounds = 0_u32;
        loop {
            let mut entries = self.metadata.outbox(ROUND).await?;
            self.stop_before_a_removal(&mut entries).await?;
            if entries.is_empty() {
                return Ok(());
            }
            let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
            debug!(changes = entries.len(), "updating the storage tree's links");
            let files: Vec<_> = entries.iter().filter_map(manifest_file).collect();
            let changes = entries.into_iter().map(|entry| entry.change).collect();
            let is_awaited = stop.is_none_or(CancellationToken::is_cancelled);
            match is_awaited || rounds >= ROUNDS_BEHIND {
                true => tree.apply(changes).await?,
                false => tree.apply_behind_others(changes).await?,
            }
            if !files.is_empty() && !self.metadata.discard_files(&files).await? {
                // All of it again when the removal that is running is over.
                self.metadata.outbox_refill();
                return Ok(());
            }
            self.metadata.outbox_done(&ids).await?;
            rounds = rounds.saturating_add(1);
        }
    }

    /// Leaves out what follows the first manifest whose file is under removal at the moment: it is
    /// written when that is over.
    async fn stop_before_a_removal(
        &self,
        entries: &mut Vec<OutboxEntry>,
    ) -> Result<(), RegistryError> {
        if !self.metadata.is_removing().await? {
            return Ok(());
        }
        let now = self.metadata.now().await?;
        for place in 0..entries.len() {
            let LinkChange::PutManifest { digest, .. } = &entries[place].change else { continue };
            let removal = self.metadata.removal(digest, &BlobLocation::default()).await?;
            if removal.is_some_and(|removal| removal.is_running(now)) {
                entries.truncate(place);
                self.metadata.outbox_refill();
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The storage tree's link files stand still.
pub(crate) struct LinksHold<'a> {
    registry: &'a Registry,
    /// `Some` until it is dropped.
    turn: Option<RwLockWriteGuard<'a, ()>>,
}

impl Drop for LinksHold<'_> {
    fn drop(&mut self) {
        // Whoever wakes up by this must find the turn free.
        drop(self.turn.take());
        self.registry.metadata.outbox_refill();
    }
}

/// The manifest that a change tells the end of. Its file may have been written when it was gone
/// already: the changes come late, and after a crash some come twice.
fn manifest_file(entry: &OutboxEntry) -> Option<Digest> {
    match &entry.change {
        LinkChange::DeleteManifest { digest, .. } => Some(*digest),
        _ => None,
    }
}
