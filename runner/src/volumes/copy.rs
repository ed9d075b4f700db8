//! A tree of files, copied with all that belongs to them.
//!
//! The source is an image's, so nothing of it is followed: each entry is opened in its folder, and
//! what it is is asked of what was opened.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
    chownat, fchmod, fchown, fgetxattr, flistxattr, fsetxattr, fstat, futimens, linkat, mkdirat,
    mknodat, openat, readlinkat, symlinkat, utimensat,
};
use rustix::io::Errno;

/// Folders in folders: more than this no program of an image has.
const DEEPEST: usize = 256;

/// Copies all that is in `source` into `target`, and gives `target` its owner, mode, times and
/// attributes.
pub(super) fn copy_tree(source: &File, target: &File) -> io::Result<()> {
    let mut copy = Copy { target: target.as_fd(), linked: HashMap::new() };
    copy.folder(source.as_fd(), target.as_fd(), Path::new(""), 0)
}

struct Copy<'copy> {
    /// What hard links are looked up in.
    target: BorrowedFd<'copy>,
    /// Where the copy of a file with several names is.
    linked: HashMap<(u64, u64), PathBuf>,
}

impl Copy<'_> {
    /// Copies a folder; its own marks come last, as they may forbid to write in it.
    fn folder(
        &mut self,
        source: BorrowedFd<'_>,
        target: BorrowedFd<'_>,
        path: &Path,
        depth: usize,
    ) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(io::Error::other("folders are too deep in each other"));
        }
        for entry in Dir::read_from(source)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                self.entry(source, target, name, path, depth)?;
            }
        }
        mark(source, target, &fstat(source)?)
    }

    fn entry(
        &mut self,
        source: BorrowedFd<'_>,
        target: BorrowedFd<'_>,
        name: &CStr,
        folder: &Path,
        depth: usize,
    ) -> io::Result<()> {
        let here = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let named = openat(source, name, here, Mode::empty())?;
        let found = fstat(&named)?;
        let kind = FileType::from_raw_mode(found.st_mode);
        let path = folder.join(std::ffi::OsStr::new(&*name.to_string_lossy()));
        let has_names = found.st_nlink > 1 && kind != FileType::Directory;
        if has_names {
            if let Some(known) = self.linked.get(&(found.st_dev, found.st_ino)) {
                linkat(self.target, known, target, name, AtFlags::empty())?;
                return Ok(());
            }
            // A name that is no text is not remembered: its file becomes several.
            if name.to_str().is_ok() {
                self.linked.insert((found.st_dev, found.st_ino), path.clone());
            }
        }
        match kind {
            FileType::Directory => {
                mkdirat(target, name, Mode::from_raw_mode(0o700))?;
                let from = open_same(source, name, OFlags::RDONLY | OFlags::DIRECTORY)?;
                let to = open_same(target, name, OFlags::RDONLY | OFlags::DIRECTORY)?;
                self.folder(from.as_fd(), to.as_fd(), &path, depth + 1)
            }
            FileType::RegularFile => {
                let mut from = File::from(open_same(source, name, OFlags::RDONLY)?);
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let to = openat(target, name, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o600))?;
                let mut to = File::from(to);
                io::copy(&mut from, &mut to)?;
                mark(from.as_fd(), to.as_fd(), &found)
            }
            FileType::Symlink => {
                let link: CString = readlinkat(&named, c"", Vec::new())?;
                symlinkat(link.as_c_str(), target, name)?;
                mark_name(target, name, &found)
            }
            FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice => {
                let mode = Mode::from_raw_mode(found.st_mode & 0o7777);
                mknodat(target, name, kind, mode, found.st_rdev)?;
                mark_name(target, name, &found)?;
                // The mode that it was made with has passed through the umask.
                Ok(rustix::fs::chmodat(target, name, mode, AtFlags::empty())?)
            }
            // Sockets belong to a process that is not there.
            _ => Ok(()),
        }
    }
}

fn open_same(folder: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(openat(folder, name, flags, Mode::empty())?)
}

/// Owner first, as a change of it takes away modes and capabilities; times last.
fn mark(source: BorrowedFd<'_>, target: BorrowedFd<'_>, found: &Stat) -> io::Result<()> {
    fchown(target, Some(Uid::from_raw(found.st_uid)), Some(Gid::from_raw(found.st_gid)))?;
    fchmod(target, Mode::from_raw_mode(found.st_mode & 0o7777))?;
    copy_attributes(source, target)?;
    Ok(futimens(target, &times(found))?)
}

fn mark_name(folder: BorrowedFd<'_>, name: &CStr, found: &Stat) -> io::Result<()> {
    let own = AtFlags::SYMLINK_NOFOLLOW;
    let (uid, gid) = (Uid::from_raw(found.st_uid), Gid::from_raw(found.st_gid));
    chownat(folder, name, Some(uid), Some(gid), own)?;
    Ok(utimensat(folder, name, &times(found), own)?)
}

#[allow(
    clippy::unnecessary_cast,
    clippy::cast_possible_wrap,
    reason = "it has other types elsewhere"
)]
fn times(found: &Stat) -> Timestamps {
    let time = |seconds: i64, nanoseconds: i64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    Timestamps {
        last_access: time(found.st_atime as i64, found.st_atime_nsec as i64),
        last_modification: time(found.st_mtime as i64, found.st_mtime_nsec as i64),
    }
}

/// Those that the other file system does not have are left out.
fn copy_attributes(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    let mut names = vec![0; 64 << 10];
    let length = match flistxattr(source, &mut names) {
        Err(Errno::NOTSUP) => return Ok(()),
        other => other?,
    };
    let mut value = vec![0; 64 << 10];
    for name in names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        // Cut at zero bytes, so there are none in it.
        let Ok(name) = CString::new(name) else { continue };
        let length = match fgetxattr(source, name.as_c_str(), &mut value) {
            Err(Errno::NODATA) => continue,
            other => other?,
        };
        match fsetxattr(target, name.as_c_str(), &value[..length], XattrFlags::empty()) {
            Err(Errno::NOTSUP) => {}
            other => other?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn copied(make: impl FnOnce(&Path)) -> (tempfile::TempDir, io::Result<()>) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["from", "to"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        make(&folder.path().join("from"));
        let open = |name| File::open(folder.path().join(name)).unwrap();
        let result = copy_tree(&open("from"), &open("to"));
        (folder, result)
    }

    #[test]
    fn attributes_go_along() {
        let (folder, result) = copied(|from| {
            fs::write(from.join("file"), "x").unwrap();
            let file = File::open(from.join("file")).unwrap();
            fsetxattr(&file, "user.colour", b"red", XattrFlags::empty()).unwrap();
        });
        result.unwrap();
        let mut value = [0; 16];
        let file = File::open(folder.path().join("to/file")).unwrap();
        let length = fgetxattr(&file, "user.colour", &mut value).unwrap();
        assert_eq!(&value[..length], b"red");
    }

    #[test]
    fn a_fifo_is_copied_without_waiting_for_a_writer() {
        let (folder, result) = copied(|from| {
            let from = File::open(from).unwrap();
            mknodat(&from, "pipe", FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        });
        result.unwrap();
        use std::os::unix::fs::FileTypeExt as _;
        assert!(fs::metadata(folder.path().join("to/pipe")).unwrap().file_type().is_fifo());
    }

    #[test]
    fn folders_that_are_too_deep_are_an_error_and_no_crash() {
        let (_folder, result) = copied(|from| {
            let mut path = from.to_owned();
            for _ in 0..DEEPEST + 2 {
                path.push("d");
            }
            fs::create_dir_all(path).unwrap();
        });
        assert!(result.is_err());
    }
}
