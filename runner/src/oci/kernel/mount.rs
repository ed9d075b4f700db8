//! Mounts that belong to a descriptor until they are attached.
#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

/// What mount_setattr(2) changes of a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// `MOUNT_ATTR_*` that it has afterwards,
    pub(crate) set: u64,
    /// and that it has not.
    pub(crate) clear: u64,
    /// One of `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`, `MS_UNBINDABLE`, or 0 for as it is.
    pub(crate) propagation: u64,
}

/// The bits that say how access times are kept: one value, not flags.
pub(crate) const ATIME: u64 = 0x70;

/// Changes a mount, and with `recursive` all that are below it.
pub(crate) fn set_attributes(
    mount: BorrowedFd<'_>,
    attributes: Attributes,
    recursive: bool,
) -> io::Result<()> {
    if attributes == Attributes::default() {
        return Ok(());
    }
    change(mount, attributes, recursive, None)
}

/// Has a mount that is not attached show the ids of the user namespace `namespace`.
pub(crate) fn map_ids(
    mount: BorrowedFd<'_>,
    namespace: BorrowedFd<'_>,
    recursive: bool,
) -> io::Result<()> {
    let attributes = Attributes { set: libc::MOUNT_ATTR_IDMAP, ..Attributes::default() };
    change(mount, attributes, recursive, Some(namespace))
}

fn change(
    mount: BorrowedFd<'_>,
    attributes: Attributes,
    recursive: bool,
    namespace: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let attr = libc::mount_attr {
        attr_set: attributes.set,
        attr_clr: attributes.clear,
        propagation: attributes.propagation,
        userns_fd: namespace.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a C string, and `attr` is as large as is said and lives until the return.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// One setting of a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    Flag(String),
    Value(String, String),
}

/// A new instance of the file system `kind`, mounted nowhere.
///
/// # Errors
///
/// The kernel's, with what it says besides where it says anything.
pub(crate) fn file_system(
    kind: &str,
    source: Option<&OsStr>,
    settings: &[Setting],
    attributes: u64,
) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    configure(context.as_fd(), source, settings)
        .map_err(|error| explain(context.as_fd(), error))?;
    let attributes = MountAttrFlags::from_bits_retain(attributes as u32);
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

fn configure(
    context: BorrowedFd<'_>,
    source: Option<&OsStr>,
    settings: &[Setting],
) -> rustix::io::Result<()> {
    if let Some(source) = source {
        fsconfig_set_string(context, "source", source)?;
    }
    for setting in settings {
        match setting {
            Setting::Flag(key) => fsconfig_set_flag(context, key.as_str())?,
            Setting::Value(key, value) => {
                fsconfig_set_string(context, key.as_str(), value.as_str())?;
            }
        }
    }
    fsconfig_create(context)
}

/// Adds the last line that the kernel has for a refused file system.
fn explain(context: BorrowedFd<'_>, error: rustix::io::Errno) -> io::Error {
    let error = io::Error::from(error);
    let mut line = [0; 512];
    let mut last = None;
    while let Ok(length) = rustix::io::read(context, &mut line) {
        last = Some(String::from_utf8_lossy(&line[..length]).trim().to_owned());
    }
    match last {
        Some(line) => io::Error::new(error.kind(), format!("{error} ({line})")),
        None => error,
    }
}

/// A copy of the mount at `path`, with all below it where `recursive` says so, mounted nowhere.
pub(crate) fn copy_of(path: &Path, recursive: bool) -> io::Result<OwnedFd> {
    Ok(open_tree(CWD, path, tree(recursive))?)
}

/// The same of what is open as `fd`.
pub(crate) fn copy_of_open(fd: BorrowedFd<'_>, recursive: bool) -> io::Result<OwnedFd> {
    Ok(open_tree(fd, "", tree(recursive) | OpenTreeFlags::AT_EMPTY_PATH)?)
}

fn tree(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive { flags | OpenTreeFlags::AT_RECURSIVE } else { flags }
}

/// Attaches a mount on what is open as `target`. The descriptor of the mount goes on to mean its
/// root.
pub(crate) fn attach(mount: impl AsFd, target: impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, "", target, "", flags)?)
}

/// The same on what is `name` in `folder`, if that is no symbolic link.
pub(crate) fn attach_in(mount: impl AsFd, folder: impl AsFd, name: &str) -> io::Result<()> {
    Ok(move_mount(mount, "", folder, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}
