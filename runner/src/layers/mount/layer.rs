//! One layer as a file system of its own: its index, and its archive as a further device.

use std::io;
use std::path::Path;

use super::attach_at;
use super::path::PathText;
use crate::layers::prepare::{INDEX, SPREAD};
use crate::layers::store::ARCHIVE;
use crate::oci::kernel::mount::{Setting, file_system};

/// The magic number of EROFS.
const EROFS: u64 = 0xe0f5_e1e2;

/// Nobody runs or opens anything by way of this mount: an overlay has flags of its own.
const ATTRIBUTES: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

/// Mounts the layer in `folder` at `target`, by its files alone.
pub(super) fn mount(folder: &Path, target: &Path) -> io::Result<()> {
    let index = PathText::new(&folder.join(INDEX))?;
    let archive = PathText::new(&folder.join(ARCHIVE))?;
    let spread = folder.join(SPREAD);
    let spread = match spread.exists() {
        true => Some(PathText::new(&spread)?),
        false => None,
    };
    let mut settings = vec![Setting::Flag("ro".to_owned())];
    for device in [Some(&archive), spread.as_ref()].into_iter().flatten() {
        settings.push(Setting::Value("device".to_owned(), device.to_string()));
    }
    let source = index.to_string();
    let mounted = file_system("erofs", Some(source.as_ref()), &settings, ATTRIBUTES)?;
    attach_at(mounted, target)
}

/// Whether a layer is mounted at `target`.
pub(super) fn is_mounted(target: &Path) -> bool {
    rustix::fs::statfs(target).is_ok_and(|found| found.f_type as u64 == EROFS)
}
