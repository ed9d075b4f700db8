//! What a container must not see or not write, although it is in what is mounted for it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, major, minor, open};

use super::super::Result;
use super::super::error::{Doing as _, Error};
use super::super::kernel::mount::{Attributes, attach, copy_of_open, file_system, set_attributes};
use super::super::kernel::root::RootDirectory;
use super::super::plan::Plan;

const READ_ONLY: u64 = 0x1;

/// Makes read-only what must not be written, hides what must not be seen, and closes the root where
/// that is wanted. What is not there needs nothing.
pub(super) fn restrict(root: &RootDirectory, plan: &Plan) -> Result<()> {
    for path in &plan.root.readonly_paths {
        if let Some(found) = find(root, path)? {
            make_read_only(found).doing(|| format!("make {} read-only", path.display()))?;
        }
    }
    let mut masks = Masks { null: None, empty: None };
    for path in &plan.root.masked {
        if let Some(found) = find(root, path)? {
            masks.hide(found, path)?;
        }
    }
    if plan.root.readonly {
        let read_only = Attributes { set: READ_ONLY, ..Attributes::default() };
        set_attributes(root.as_fd(), read_only, false).doing(|| "make the root read-only")?;
    }
    Ok(())
}

fn find(root: &RootDirectory, path: &Path) -> Result<Option<OwnedFd>> {
    match root.look_up(path) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        other => other.map(Some).doing(|| format!("open {}", path.display())),
    }
}

fn make_read_only(found: OwnedFd) -> io::Result<()> {
    let copy = copy_of_open(found.as_fd(), true)?;
    set_attributes(copy.as_fd(), Attributes { set: READ_ONLY, ..Attributes::default() }, true)?;
    attach(copy, found)
}

/// What hides files and folders; each is made when it is first needed.
struct Masks {
    null: Option<OwnedFd>,
    empty: Option<OwnedFd>,
}

impl Masks {
    fn hide(&mut self, found: OwnedFd, path: &Path) -> Result<()> {
        let doing = || format!("hide {}", path.display());
        let kind = FileType::from_raw_mode(fstat(&found).doing(doing)?.st_mode);
        let mask = if kind == FileType::Directory { self.folder() } else { self.file() };
        attach(mask?, found).doing(doing)
    }

    fn file(&mut self) -> Result<OwnedFd> {
        let null = match self.null.take() {
            Some(null) => null,
            None => null()?,
        };
        let copy = copy_of_open(null.as_fd(), false).doing(|| "mount /dev/null");
        self.null = Some(null);
        copy
    }

    fn folder(&mut self) -> Result<OwnedFd> {
        match &self.empty {
            Some(attached) => {
                copy_of_open(attached.as_fd(), false).doing(|| "mount an empty folder")
            }
            None => {
                let source = Some(OsStr::new("tmpfs"));
                let made = file_system("tmpfs", source, &[], READ_ONLY)
                    .doing(|| "make an empty folder")?;
                self.empty = Some(made.try_clone().doing(|| "make an empty folder")?);
                Ok(made)
            }
        }
    }
}

/// The null device of the host, which is still visible: certainly that, and not what somebody put in
/// its place (CVE-2025-31133).
fn null() -> Result<OwnedFd> {
    let null = open("/dev/null", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    let null = null.doing(|| "open /dev/null")?;
    let found = fstat(&null).doing(|| "look at /dev/null")?;
    let is_character = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice;
    if is_character && (major(found.st_rdev), minor(found.st_rdev)) == (1, 3) {
        Ok(null)
    } else {
        Err(Error::unsupported("/dev/null of the host is not the null device"))
    }
}
