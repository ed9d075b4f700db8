//! The removal of many files.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::none_if_missing;
use crate::StoreError;

/// Removes files with the folders that they have to themselves, and tells of each how it went. What
/// is gone stays gone when this returns.
pub(super) fn remove_all(paths: &[PathBuf]) -> Vec<Result<(), StoreError>> {
    let mut outcomes: Vec<_> = paths.iter().map(|path| remove(path)).collect();
    let mut synced: HashMap<&Path, Result<(), io::ErrorKind>> = HashMap::new();
    for (path, outcome) in paths.iter().zip(&mut outcomes) {
        let Some(above) = path.parent().and_then(Path::parent) else { continue };
        let sync = synced.entry(above).or_insert_with(|| sync(above).map_err(|e| e.kind()));
        if let (Ok(()), Err(kind)) = (&outcome, sync) {
            *outcome = Err(StoreError::Io((*kind).into()));
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
