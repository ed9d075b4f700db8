//! Roots of containers that have no mount namespace for themselves: what is mounted for them is mounted where
//! others see it, and does not go with their processes.

use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use super::super::Result;
use super::super::config::linux::NamespaceKind;
use super::super::container::Record;
use super::super::error::Doing as _;

/// The number of the mount that `path` is on.
pub(in crate::oci) fn mount_at(path: &Path) -> Result<u64> {
    let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MNT_ID);
    Ok(found.doing(|| format!("look at {}", path.display()))?.stx_mnt_id)
}

/// Unmounts the root of a container that is in the mount namespace of the runtime, with all that is below it. That
/// of one in another namespace is whoever's that is.
pub(in crate::oci) fn unmount_shared(record: &Record) -> Result<()> {
    let Some(below) = record.shared_mounts else { return Ok(()) };
    let is_joined = record.namespaces.contains(&NamespaceKind::Mount);
    // Nothing was mounted yet, or it is gone with its folder.
    if is_joined || mount_at(&record.rootfs).is_ok_and(|top| top == below) {
        return Ok(());
    }
    match unmount(&record.rootfs, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Err(Errno::NOENT | Errno::INVAL) => Ok(()),
        other => other.doing(|| format!("unmount {}", record.rootfs.display())),
    }
}
