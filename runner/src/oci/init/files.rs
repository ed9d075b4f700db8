//! Nodes and links below `/dev`.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, Uid, chmodat, chownat, fstat, mknodat, statat, unlinkat,
};
use rustix::io::Errno;

use super::super::Result;
use super::super::error::Doing as _;
use super::super::kernel::mount::{Setting, attach, copy_of};
use super::super::kernel::root::RootDirectory;
use super::super::plan::{Node, NodeKind};

/// Links that programs expect, and where they lead.
const LINKS: [(&str, &str); 5] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
];

pub(super) fn make_links(root: &RootDirectory) -> Result<()> {
    for (path, target) in LINKS {
        root.make_link(Path::new(target), Path::new(path))
            .doing(|| format!("make the link {path}"))?;
    }
    Ok(())
}

/// In a new user namespace nodes cannot be made, so those of the host are mounted.
pub(super) fn make_devices(root: &RootDirectory, nodes: &[Node], is_new_user: bool) -> Result<()> {
    for node in nodes {
        let made = if is_new_user { mount_node(root, node) } else { make_node(root, node) };
        made.doing(|| format!("make the device {}", node.path.display()))?;
    }
    Ok(())
}

fn mount_node(root: &RootDirectory, node: &Node) -> io::Result<()> {
    attach(copy_of(&node.path, false)?, root.make_file(&node.path)?)
}

fn make_node(root: &RootDirectory, node: &Node) -> io::Result<()> {
    let (kind, number) = match node.kind {
        NodeKind::Character(number) => (FileType::CharacterDevice, number),
        NodeKind::Block(number) => (FileType::BlockDevice, number),
        NodeKind::Fifo => (FileType::Fifo, 0),
    };
    let (parent, name) = root.make_parent(&node.path)?;
    let mode = Mode::from_raw_mode(node.mode);
    match mknodat(&parent, name, kind, mode, number) {
        // What an image has under this name might be anything.
        Err(Errno::EXIST) => {
            let found = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(found.st_mode) == kind && found.st_rdev == number {
                return Ok(());
            }
            unlinkat(&parent, name, AtFlags::empty())?;
            mknodat(&parent, name, kind, mode, number)?;
        }
        other => other?,
    }
    if (node.uid, node.gid) != (0, 0) {
        let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
        chownat(&parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// Gives a folder in memory the mode of the one it is mounted over, unless it is said to have another.
pub(super) fn take_after(target: &OwnedFd, made: &OwnedFd, settings: &[Setting]) -> io::Result<()> {
    let says = |wanted: &str| {
        settings.iter().any(|setting| matches!(setting, Setting::Value(key, _) if key == wanted))
    };
    if says("mode") {
        return Ok(());
    }
    let mode = Mode::from_raw_mode(fstat(target)?.st_mode & 0o7777);
    Ok(chmodat(made, ".", mode, AtFlags::empty())?)
}
