//! What is left in a storage, seen without the database.

use std::path::{Path, PathBuf};

use anyhow::Result;
use berth_tests::tree::files;

/// The blobs and manifests of a storage tree.
pub(crate) fn blobs_of_tree(root: &Path) -> Result<Vec<PathBuf>> {
    files(&root.join("docker/registry/v2/blobs"))
}
