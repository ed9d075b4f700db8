//! What systems have in common by another name, or have not.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens a file whose path the kernel has in its caches; `None` when the disk would be asked.
///
/// A lookup that cannot wait needs no other thread: it is the path of every warm read.
#[cfg(target_os = "linux")]
pub(super) fn open_if_cached(path: &Path) -> Option<io::Result<File>> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::Errno;

    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED) {
        Ok(fd) => Some(Ok(File::from(fd))),
        // Not cached; or a kernel or filesystem that does not know the question.
        Err(Errno::AGAIN | Errno::NOSYS | Errno::INVAL) => None,
        Err(errno) => Some(Err(errno.into())),
    }
}

/// The question is one of Linux.
#[cfg(not(target_os = "linux"))]
pub(super) fn open_if_cached(_path: &Path) -> Option<io::Result<File>> {
    None
}

/// Syncs all of the filesystem that `directory` is on.
#[cfg(target_os = "linux")]
pub(super) fn sync_filesystem(directory: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(directory)?)?)
}

/// The same of all filesystems. It may return when everything is on its way to the disk.
#[cfg(not(target_os = "linux"))]
pub(super) fn sync_filesystem(_directory: &Path) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}
