//! Temporary folders that do not outlive the tests, not even those of a killed process.

use std::fs;
use std::path::Path;
use std::sync::Once;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

const PREFIX: &str = "berth-stores-";

/// A folder that is removed with its value, or by the next test process if this one is killed.
pub(crate) fn temporary() -> Result<TempDir> {
    temporary_in(&std::env::temp_dir())
}

/// The same elsewhere. What a killed process leaves there is for whoever owns `parent` to remove.
pub(crate) fn temporary_in(parent: &Path) -> Result<TempDir> {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(sweep);
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}-", std::process::id()))
        .tempdir_in(parent)
        .context("cannot create a temporary folder")
}

/// Removes the folders of processes that are no more.
fn sweep() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        if owner(&entry.file_name().to_string_lossy()).is_some_and(|pid| !is_alive(pid)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process that a folder's name tells.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_tells_its_process_and_goes_with_its_value() {
        let folder = temporary().unwrap();
        let path = folder.path().to_owned();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(owner(&name), Some(std::process::id()));
        assert!(is_alive(std::process::id()));
        drop(folder);
        assert!(!path.exists());
    }
}
