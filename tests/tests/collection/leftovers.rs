//! What is left in a storage, seen without the database.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => folders.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    Ok(files)
}

/// The blobs and manifests of a storage tree.
pub(crate) fn blobs_of_tree(root: &Path) -> Result<Vec<PathBuf>> {
    files(&root.join("docker/registry/v2/blobs"))
}
