use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_metadata::{Endpoint, Job};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Backup, BackupError, Backups};
use crate::{Registry, RegistryError};

/// How long a process runs before it makes a backup, so that one which starts over and over makes none.
const SETTLE: Duration = Duration::from_secs(10 * 60);

/// What the names of files begin with that become backups.
const SCRATCH: &str = "berth-backup-";

/// Such a file that is so old belongs to a process that died.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// What backups are made of, and where on this machine.
#[derive(Debug)]
pub struct BackupSource {
    /// The database.
    database: Endpoint,
    /// The file that a snapshot is written to before it goes into the blob store.
    pub scratch: PathBuf,
}

impl BackupSource {
    /// Backups of a database, by way of files in a folder with room for another one like it.
    pub fn new(database: Endpoint, folder: &Path) -> Self {
        let scratch = folder.join(format!("{SCRATCH}{}.db", std::process::id()));
        Self { database, scratch }
    }

    /// Makes a backup now. Two at once in one process would use the same file: see to it that there is one.
    ///
    /// # Errors
    /// In words, when database, store or file fail.
    pub async fn back_up(&self, backups: &Backups<'_>) -> Result<Backup, String> {
        self.forget_old_scratch();
        let journal = backups.journal().await.map_err(|error| error.to_string())?;
        let snapshot = berth_metadata::snapshot(self.database.clone(), &self.scratch);
        // Large, and made once in a while.
        let taken = Box::pin(snapshot).await;
        let stored = match taken {
            Ok(()) => {
                backups.store(&self.scratch, journal).await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let _ = std::fs::remove_file(&self.scratch);
        stored
    }
}

impl BackupSource {
    /// Removes what processes have left that died while they made a backup.
    fn forget_old_scratch(&self) {
        let _ = std::fs::remove_file(&self.scratch);
        let Some(folder) = self.scratch.parent() else { return };
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_scratch = entry.file_name().to_string_lossy().starts_with(SCRATCH);
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let is_old = modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > ABANDONED));
            if is_scratch && is_old {
                // What cannot be removed now may be next time.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

impl Registry {
    /// Makes a backup whenever the last one is older than the configured interval, until `stop`.
    pub(crate) async fn keep_backing_up(&self, stop: CancellationToken) {
        let mut pause = SETTLE;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            let interval = self.config().storage.backup.interval.get();
            pause = interval.min(SETTLE);
            if !self.config().storage.backup.enabled {
                continue;
            }
            let turn = self.as_job(Job::Backup, Duration::ZERO, self.back_up_when_due(interval));
            tokio::select! {
                outcome = turn => if let Err(error) = outcome {
                    warn!(%error, cause = error.cause(), "the database could not be backed up; it is tried again");
                },
                () = stop.cancelled() => return,
            }
        }
    }

    async fn back_up_when_due(&self, interval: Duration) -> Result<(), RegistryError> {
        let (Some(source), Some(files)) = (&self.backup_source, self.blobs.files()) else {
            return Ok(());
        };
        let failed = |error: BackupError| RegistryError::Unavailable { cause: error.to_string() };
        let backups = Backups(files);
        let last = backups.list().await.map_err(failed)?.pop();
        let is_recent = |last: Backup| {
            let age = Timestamp::now().duration_since(last.made_at);
            Duration::try_from(age).is_ok_and(|age| age < interval)
        };
        if last.is_some_and(is_recent) {
            return Ok(());
        }
        let made = source.back_up(&backups).await;
        let backup = made.map_err(|cause| RegistryError::Unavailable { cause })?;
        info!(name = backup.name(), bytes = backup.size, "the database was backed up");
        let keep = self.config().storage.backup.keep as usize;
        backups.prune(keep).await.map_err(failed)
    }
}
