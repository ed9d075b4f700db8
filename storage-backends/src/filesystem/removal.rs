//! The removal of many files.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use super::none_if_missing;
use crate::StoreError;

/// How many folders are synced one by one. Each waits for the disk, where one sync of the whole file
/// system waits once, though for what others have written, too.
const FEW: usize = 8;

/// Removes files with the folders that they have to themselves, and tells of each how it went. What
/// is gone stays gone when this returns. `beside` is a folder of the
/// same file system.
pub(super) fn remove_all(beside: &Path, paths: &[PathBuf]) -> Vec<Result<(), StoreError>> {
    let remove = |path: &PathBuf| {
        // Niceness alone would have requests wait until the kernel's next tick.
        thread::yield_now();
        remove(path)
    };
    let mut outcomes: Vec<_> = paths.iter().map(remove).collect();
    let above = |path: &'_ Path| path.parent().and_then(Path::parent).map(Path::to_owned);
    let folders: HashSet<PathBuf> = paths.iter().filter_map(|path| above(path)).collect();
    let synced = match folders.len() {
        ..=FEW => folders.iter().try_for_each(|folder| sync(folder)),
        _ => sync_filesystem(beside),
    };
    if let Err(error) = synced {
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_ok()) {
            *outcome = Err(StoreError::Io(error.kind().into()));
        }
    }
    outcomes
}

fn remove(path: &Path) -> Result<(), StoreError> {
    none_if_missing(fs::remove_file(path))?;
    if let Some(folder) = path.parent() {
        match fs::remove_dir(folder) {
            // A push may have put another file there by now.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            other => {
                none_if_missing(other)?;
            }
        }
    }
    Ok(())
}

fn sync(directory: &Path) -> io::Result<()> {
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        // Nothing was ever there.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn sync_filesystem(of: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(of)?)?)
}
