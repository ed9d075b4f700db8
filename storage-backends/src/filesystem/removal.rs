//! The removal of many files.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::none_if_missing;
use super::system::sync_filesystem;
use crate::StoreError;

/// How many folders are synced one by one. Each waits for the disk, where one sync of the whole file
/// system waits once, though for what others have written, too.
const FEW: usize = 8;

/// A yield that takes longer than this let another thread run.
const WANTED: Duration = Duration::from_micros(15);

/// For how long a removal sleeps then.
const PAUSE: Duration = Duration::from_micros(300);

/// Removes files with the folders that they have to themselves, and tells of each how it went. What
/// is gone stays gone when this returns. `beside` is a folder of the
/// same file system.
pub(super) fn remove_all(beside: &Path, paths: &[PathBuf]) -> Vec<Result<(), StoreError>> {
    let remove = |path: &PathBuf| {
        give_way();
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

/// Lets threads run that want to. Niceness alone would have them wait until the kernel's next tick; and only a
/// processor that has nothing to do for a moment takes over what waits for another one.
fn give_way() {
    let before = Instant::now();
    thread::yield_now();
    if before.elapsed() > WANTED {
        thread::sleep(PAUSE);
    }
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
