//! A tree made as files and folders, by descriptor and one name at a time.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod,
    fchown, fsetxattr, futimens, linkat, lsetxattr, makedev, mkdirat, mknodat, openat, symlinkat,
    unlinkat, utimensat,
};
use rustix::io::Errno;

use super::copy::copy_piece;
use super::error::{Doing as _, LayerError};
use super::tar::{Content, Piece, Time};
use super::tree::{Body, Device, Directory, Links, Node, NodeId, OPAQUE, Tree};

/// What becomes of what a layer says of the ones below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whiteouts {
    /// It is written as overlay reads it.
    Kept,
    /// It is done to what is there.
    Applied,
}

/// Makes the files of `tree`, whose contents are in `archive`, in the folder `target`. The folder
/// `scratch` is on the same file system, and as empty afterwards as before.
///
/// Nothing else may change `target` meanwhile.
pub(super) fn unpack(
    tree: &Tree,
    archive: &File,
    target: BorrowedFd<'_>,
    scratch: BorrowedFd<'_>,
    whiteouts: Whiteouts,
) -> Result<(), LayerError> {
    let links = tree.links();
    let mut unpacking =
        Unpacking { tree, archive, links, scratch, whiteouts, linked: HashMap::new() };
    let result = unpacking.fill(target, NodeId::ROOT);
    for name in unpacking.linked.into_values() {
        let _ = unlinkat(scratch, name, AtFlags::empty());
    }
    result
}

struct Unpacking<'a> {
    tree: &'a Tree,
    archive: &'a File,
    links: Links,
    scratch: BorrowedFd<'a>,
    whiteouts: Whiteouts,
    /// What has several names, by its name in `scratch`.
    linked: HashMap<NodeId, String>,
}

impl Unpacking<'_> {
    /// Makes what is in the folder `id`, and then the folder what it should be, since its time changes
    /// with each name.
    fn fill(&mut self, folder: BorrowedFd<'_>, id: NodeId) -> Result<(), LayerError> {
        let node = self.tree.node(id);
        let Body::Directory(directory) = &node.body else { return Ok(()) };
        self.hide_below(folder, directory).doing(|| "hide what is below a folder")?;
        for (name, &child) in &directory.children {
            let name = OsStr::from_bytes(name);
            match &self.tree.node(child).body {
                Body::Directory(_) => {
                    let made = self.directory(folder, name).doing(|| unpacking(name))?;
                    self.fill(made.as_fd(), child)?;
                }
                Body::Whiteout => self.white_out(folder, name).doing(|| unpacking(name))?,
                _ => self.file(folder, name, child).doing(|| unpacking(name))?,
            }
        }
        finish_open(folder, node).doing(|| "set what a folder is like")
    }

    fn hide_below(&self, folder: BorrowedFd<'_>, directory: &Directory) -> io::Result<()> {
        if !directory.opaque {
            return Ok(());
        }
        match self.whiteouts {
            Whiteouts::Kept => Ok(fsetxattr(folder, OPAQUE, b"y", XattrFlags::empty())?),
            Whiteouts::Applied => {
                for entry in std::fs::read_dir(inside(folder, OsStr::new(".")))? {
                    make_room(folder, &entry?.file_name())?;
                }
                Ok(())
            }
        }
    }

    fn directory(&self, folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if self.whiteouts == Whiteouts::Applied {
            match openat(folder, name, flags, Mode::empty()) {
                Err(Errno::NOENT) => {}
                Err(Errno::NOTDIR | Errno::LOOP) => make_room(folder, name)?,
                other => return Ok(other?),
            }
        }
        mkdirat(folder, name, Mode::RWXU)?;
        Ok(openat(folder, name, flags, Mode::empty())?)
    }

    fn white_out(&self, folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
        match self.whiteouts {
            Whiteouts::Applied => make_room(folder, name),
            Whiteouts::Kept => {
                Ok(mknodat(folder, name, FileType::CharacterDevice, Mode::empty(), 0)?)
            }
        }
    }

    /// Makes what is no folder. What has several names is made in the scratch folder, and linked from
    /// there: so no path has to be gone to again.
    fn file(&mut self, folder: BorrowedFd<'_>, name: &OsStr, id: NodeId) -> io::Result<()> {
        if self.whiteouts == Whiteouts::Applied {
            make_room(folder, name)?;
        }
        if self.links.count(id) < 2 {
            return self.make(folder, name, id);
        }
        if !self.linked.contains_key(&id) {
            let staged = format!("link-{}", self.linked.len());
            self.make(self.scratch, OsStr::new(&staged), id)?;
            self.linked.insert(id, staged);
        }
        Ok(linkat(self.scratch, self.linked[&id].as_str(), folder, name, AtFlags::empty())?)
    }

    fn make(&self, folder: BorrowedFd<'_>, name: &OsStr, id: NodeId) -> io::Result<()> {
        let node = self.tree.node(id);
        let node_of = |kind, device: Option<&Device>| {
            let number = device.map_or(0, |device| makedev(device.major, device.minor));
            mknodat(folder, name, kind, Mode::from_raw_mode(0o600), number)
        };
        match &node.body {
            Body::File(content) => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let file = File::from(openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?);
                self.copy(content, &file)?;
                return finish_open(file.as_fd(), node);
            }
            Body::Symlink(target) => symlinkat(OsStr::from_bytes(target), folder, name)?,
            Body::CharacterDevice(device) => node_of(FileType::CharacterDevice, Some(device))?,
            Body::BlockDevice(device) => node_of(FileType::BlockDevice, Some(device))?,
            Body::Fifo => node_of(FileType::Fifo, None)?,
            Body::Directory(_) | Body::Whiteout => return Ok(()),
        }
        finish_named(folder, name, node)
    }

    fn copy(&self, content: &Content, file: &File) -> io::Result<()> {
        match content {
            Content::Whole { offset, size } => {
                copy_piece(self.archive, Piece { at: 0, offset: *offset, length: *size }, file)
            }
            Content::Sparse(sparse) => {
                for &piece in &sparse.pieces {
                    copy_piece(self.archive, piece, file)?;
                }
                file.set_len(sparse.size)
            }
        }
    }
}

fn unpacking(name: &OsStr) -> String {
    format!("unpack {}", name.display())
}

/// Removes what is under `name`, if anything is.
fn make_room(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => std::fs::remove_dir_all(inside(folder, name)),
        Err(error) => Err(error.into()),
    }
}

/// A path to `name` that goes by the open folder.
fn inside(folder: BorrowedFd<'_>, name: &OsStr) -> PathBuf {
    Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name)
}

/// Owner first, since a change of it takes capabilities and set-user-id away; the time last.
fn finish_open(file: BorrowedFd<'_>, node: &Node) -> io::Result<()> {
    let (uid, gid) = owner(node);
    fchown(file, uid, gid)?;
    for (name, value) in node.attributes.iter() {
        keep(fsetxattr(file, name, value, XattrFlags::empty()))?;
    }
    fchmod(file, Mode::from_raw_mode(node.mode))?;
    Ok(futimens(file, &times(node.mtime))?)
}

/// The same of what cannot be opened without consequences.
fn finish_named(folder: BorrowedFd<'_>, name: &OsStr, node: &Node) -> io::Result<()> {
    let (uid, gid) = owner(node);
    chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    for (attribute, value) in node.attributes.iter() {
        keep(lsetxattr(inside(folder, name), attribute, value, XattrFlags::empty()))?;
    }
    if !matches!(node.body, Body::Symlink(_)) {
        // The name is no link, as it was made just now.
        rustix::fs::chmodat(folder, name, Mode::from_raw_mode(node.mode), AtFlags::empty())?;
    }
    Ok(utimensat(folder, name, &times(node.mtime), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn owner(node: &Node) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(node.owner.uid)), Some(Gid::from_raw(node.owner.gid)))
}

/// An attribute that the file system has no room for at all is no reason to have no file.
fn keep(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match result {
        Err(Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}

fn times(mtime: Time) -> Timestamps {
    let time = Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}
