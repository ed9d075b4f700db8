//! Backups of the database, kept in the blob store beside the blobs.
//!
//! A backup is an embedded database in one file, whatever engine it is of. Its name tells when it was made
//! and what its bytes must be: `berth/backups/20261126T120000Z.<sha256>.db`. Where there is a journal it also tells
//! up to which object a backup holds what that tells: `….<sha256>.j42.db`.

mod task;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use berth_oci::{Algorithm, Digest, Hasher};
use berth_storage_backends::{BlobContent, Found, OpenBlob, StoreError, StoreFiles};
use bytes::Bytes;
use futures_util::stream::{BoxStream, TryStreamExt};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use thiserror::Error;

pub use task::BackupSource;

use crate::journal;

/// The folder of the backups.
const FOLDER: &str = "berth/backups";

/// How a time stands in a name.
const STAMP: &str = "%Y%m%dT%H%M%SZ";

/// The backups in a blob store.
pub struct Backups<'a>(pub &'a dyn StoreFiles);

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// When it was made.
    pub made_at: Timestamp,
    /// What its bytes are.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The object of the journal up to which it holds all, where there is a journal.
    pub journal: Option<u64>,
}

/// Why a backup cannot be made or restored.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The blob store failed.
    #[error("the backup cannot be stored or read: {0}")]
    Store(#[from] StoreError),
    /// The file on this machine failed.
    #[error("the file of the backup cannot be used: {0}")]
    File(#[from] std::io::Error),
    /// The stored bytes are not those that were stored.
    #[error("the backup is damaged; take another one (`berth backup list`)")]
    Damaged,
}

impl Backup {
    /// What it is called: `20261126T120000Z`.
    pub fn name(&self) -> String {
        self.made_at.strftime(STAMP).to_string()
    }

    fn file(&self) -> String {
        let journal = self.journal.map(|number| format!(".j{number}")).unwrap_or_default();
        format!("{FOLDER}/{}.{}{journal}.db", self.name(), self.digest.hex())
    }

    fn of(file: &str, size: u64) -> Option<Self> {
        let name = file.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".db")?;
        let (stamp, rest) = name.split_once('.')?;
        let (hex, journal) = match rest.split_once(".j") {
            Some((hex, number)) => (hex, Some(number.parse().ok()?)),
            None => (rest, None),
        };
        let made_at = jiff::civil::DateTime::strptime(STAMP, stamp).ok()?;
        let made_at = made_at.to_zoned(TimeZone::UTC).ok()?.timestamp();
        let digest = format!("sha256:{hex}").parse().ok()?;
        Some(Self { made_at, digest, size, journal })
    }
}

impl Backups<'_> {
    /// All backups, the oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self) -> Result<Vec<Backup>, BackupError> {
        let found: Vec<Vec<Found>> = self.0.list(FOLDER).try_collect().await?;
        let backup = |found| match found {
            Found::File(file) => Backup::of(&file.name, file.size),
            Found::Unreadable { .. } => None,
        };
        let mut backups: Vec<_> = found.into_iter().flatten().filter_map(backup).collect();
        backups.sort_by_key(|backup| backup.made_at);
        Ok(backups)
    }

    /// The object of the journal up to which a snapshot will hold all that is begun now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn journal(&self) -> Result<Option<u64>, BackupError> {
        Ok(journal::last(self.0).await?)
    }

    /// Stores the file of a snapshot as a backup; it is on stable storage when this returns. `journal` is what
    /// [`journal`](Self::journal) told before the snapshot.
    ///
    /// # Errors
    /// When the store or the file fails.
    pub async fn store(
        &self,
        snapshot: &Path,
        journal: Option<u64>,
    ) -> Result<Backup, BackupError> {
        let digest = digest_of(snapshot).await?;
        let size = std::fs::metadata(snapshot)?.len();
        let backup = Backup { made_at: Timestamp::now(), digest, size, journal };
        self.0.write(&backup.file(), read(File::open(snapshot)?)?).await?;
        Ok(backup)
    }

    /// Gets a backup back into a file, and compares it with what was stored.
    ///
    /// # Errors
    /// [`BackupError::Damaged`], or when the store or the file fails.
    pub async fn fetch(&self, backup: &Backup, to: &Path) -> Result<(), BackupError> {
        let mut bytes = self.0.open(&backup.file()).await?.into_stream();
        let mut file = File::create(to)?;
        while let Some(chunk) = bytes.try_next().await? {
            file.write_all(&chunk)?;
        }
        file.sync_all()?;
        match digest_of(to).await? == backup.digest {
            true => Ok(()),
            false => Err(BackupError::Damaged),
        }
    }

    /// Deletes the oldest backups but for `keep`, and what the journal holds that the others have.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn prune(&self, keep: usize) -> Result<(), BackupError> {
        let backups = self.list().await?;
        for backup in backups.iter().rev().skip(keep) {
            self.0.delete(&backup.file()).await?;
        }
        let oldest = backups.iter().rev().take(keep).next_back();
        if let Some(number) = oldest.and_then(|backup| backup.journal) {
            journal::cut(self.0, number).await?;
        }
        Ok(())
    }
}

async fn digest_of(path: &Path) -> Result<Digest, BackupError> {
    let mut bytes = read(File::open(path)?)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    while let Some(chunk) = bytes.try_next().await? {
        hasher.update(&chunk);
    }
    Ok(hasher.finish())
}

/// The bytes of a file.
fn read(file: File) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, BackupError> {
    let size = file.metadata()?.len();
    let content = BlobContent::File(Arc::new(file));
    Ok(OpenBlob { size, content }.into_stream())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_tells_all_of_a_backup() {
        let digest = Hasher::digest(Algorithm::Sha256, b"x");
        let made_at = Timestamp::from_second(1_764_158_400).unwrap();
        for journal in [None, Some(42)] {
            let backup = Backup { made_at, digest, size: 7, journal };
            assert_eq!(Backup::of(&backup.file(), 7), Some(backup));
        }
        for other in [
            "berth/backups/x.db",
            "berth/backups/20261126T120000Z.00.db",
            "x",
            "berth/backups/a.b.jx.db",
        ] {
            assert_eq!(Backup::of(other, 1), None, "{other}");
        }
    }
}
