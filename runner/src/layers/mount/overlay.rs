//! Overlays: folders on top of each other, of which the uppermost takes what is written.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::path::PathText;
use crate::layers::tree::OPAQUE;
use crate::oci::kernel::mount::{Setting, file_system};

/// What the container writes, in its folder.
const UPPER: &str = "upper";
/// What overlay needs besides.
const WORK: &str = "work";

/// What becomes of what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changes {
    /// It is there the next time.
    Kept,
    /// There is no next time.
    Dropped,
}

/// Whether a container has written, or could have.
pub(super) fn is_prepared(writable: &Path) -> bool {
    writable.join(UPPER).exists()
}

/// Makes the folders for what is written, where they are missing. The root of an overlay is what its
/// uppermost folder is, so that is made like the root of the uppermost layer.
pub(super) fn prepare(lower: &[PathBuf], writable: &Path) -> io::Result<PathBuf> {
    let upper = writable.join(UPPER);
    if !upper.exists() {
        let made = writable.join("making");
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(writable.join(WORK))?;
        builder.create(&made)?;
        make_like(lower.last(), &made)?;
        fs::rename(&made, &upper)?;
    }
    Ok(upper)
}

/// Removes the folders again.
pub(super) fn remove(writable: &Path) -> io::Result<()> {
    fs::remove_dir_all(writable.join(UPPER))?;
    fs::remove_dir_all(writable.join(WORK))
}

fn make_like(model: Option<&PathBuf>, folder: &Path) -> io::Result<()> {
    let (owner, mode) = match model {
        None => ((0, 0), 0o755),
        Some(model) => {
            let model = fs::metadata(model)?;
            ((model.uid(), model.gid()), model.mode() & 0o7777)
        }
    };
    chown(folder, Some(owner.0), Some(owner.1))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(mode))
}

/// The overlay of `lower`, the lowest one first, and the folders in `writable`, mounted nowhere yet.
pub(super) fn create(lower: &[PathBuf], writable: &Path, changes: Changes) -> io::Result<OwnedFd> {
    let mut settings = Vec::with_capacity(lower.len() + 6);
    let mut paths = Vec::with_capacity(lower.len() + 2);
    let mut value = |key: &str, path: &Path| -> io::Result<()> {
        let path = PathText::new(path)?;
        settings.push(Setting::Value(key.to_owned(), path.to_string()));
        paths.push(path);
        Ok(())
    };
    for folder in lower.iter().rev() {
        value("lowerdir+", folder)?;
        // Overlay itself does not look at the root of a layer.
        if is_opaque(folder)? {
            break;
        }
    }
    value("upperdir", &writable.join(UPPER))?;
    value("workdir", &writable.join(WORK))?;
    // What a layer says is what it has, and never where else to look.
    for (key, setting) in [("redirect_dir", "nofollow"), ("index", "off"), ("metacopy", "off")] {
        settings.push(Setting::Value(key.to_owned(), setting.to_owned()));
    }
    if changes == Changes::Dropped {
        settings.push(Setting::Flag("volatile".to_owned()));
    }
    file_system("overlay", Some("overlay".as_ref()), &settings, 0)
}

fn is_opaque(folder: &Path) -> io::Result<bool> {
    let mut value = [0; 1];
    match rustix::fs::lgetxattr(folder, OPAQUE, &mut value[..]) {
        Ok(1) => Ok(value == *b"y"),
        Ok(_) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
