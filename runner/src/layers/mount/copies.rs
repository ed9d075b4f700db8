//! Roots that are copies, where the kernel has no overlay or the file system under it takes none.

use std::fs::{self, DirBuilder, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use berth_oci::Digest;
use rustix::fs::syncfs;

use super::attach_at;
use crate::layers::error::{Doing as _, LayerError};
use crate::layers::store::LayerStore;
use crate::layers::unpack::{Whiteouts, unpack};
use crate::oci::kernel::mount::copy_of;

/// The copy, in the container's folder.
const ROOT: &str = "root";

/// Where the copy of a container is, if it has one.
pub(super) fn of(writable: &Path) -> Option<PathBuf> {
    Some(writable.join(ROOT)).filter(|root| root.exists())
}

/// Copies all files of `layers`, the lowest one first, unless that has been done before.
pub(super) fn prepare(
    store: &LayerStore,
    layers: &[Digest],
    writable: &Path,
) -> Result<PathBuf, LayerError> {
    if let Some(root) = of(writable) {
        return Ok(root);
    }
    let copying = writable.join("copying");
    if copying.exists() {
        fs::remove_dir_all(&copying).doing(|| format!("remove {}", copying.display()))?;
    }
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o755).create(&copying);
    made.doing(|| format!("make {}", copying.display()))?;
    let open = |path: &Path| File::open(path).doing(|| format!("open {}", path.display()));
    let (target, scratch) = (open(&copying)?, open(writable)?);
    for layer in layers {
        let (tree, archive) = (store.tree(layer)?, store.archive(layer)?);
        unpack(&tree, &archive, target.as_fd(), scratch.as_fd(), Whiteouts::Applied)?;
    }
    syncfs(&target).doing(|| format!("write {}", copying.display()))?;
    let root = writable.join(ROOT);
    fs::rename(&copying, &root).doing(|| format!("make {}", root.display()))?;
    Ok(root)
}

/// Shows `root` at `target`.
pub(super) fn mount(root: &Path, target: &Path) -> std::io::Result<()> {
    attach_at(copy_of(root, false)?, target)
}
