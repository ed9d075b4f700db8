//! User namespaces that nobody is in, for mounts that show other ids than they keep.

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::process::{Signal, WaitOptions, pidfd_send_signal, waitpid};

use super::super::Result;
use super::super::error::Doing as _;
use super::super::kernel::channel::Channel;
use super::super::kernel::clone::{Cloned, clone};
use super::super::kernel::procfs::Procfs;
use super::super::plan::IdMaps;

/// A user namespace with these ids.
pub(super) fn namespace(ids: &IdMaps) -> Result<OwnedFd> {
    let (ours, theirs) = Channel::pair().doing(|| "make a pair of sockets")?;
    let cloned = clone(libc::CLONE_NEWUSER as u64, None);
    let Cloned::Parent(child) = cloned.doing(|| "make a user namespace for a mount")? else {
        drop(ours);
        // It is only there to hold the namespace until it is open.
        let _ = theirs.receive();
        std::process::exit(0);
    };
    let made = open(child.pid.as_raw_nonzero().get(), ids);
    let _ = pidfd_send_signal(&child.pidfd, Signal::KILL);
    let _ = waitpid(Some(child.pid), WaitOptions::empty());
    drop(ours);
    made
}

fn open(pid: i32, ids: &IdMaps) -> Result<OwnedFd> {
    let procfs = Procfs::open().doing(|| "open /proc")?;
    for (file, mappings) in [("uid_map", &ids.uids), ("gid_map", &ids.gids)] {
        let written = procfs.write(&format!("{pid}/{file}"), &IdMaps::lines(mappings));
        written.doing(|| format!("write the {file} of a mount"))?;
    }
    let namespace = File::open(format!("/proc/{pid}/ns/user"));
    Ok(namespace.doing(|| "open the user namespace of a mount")?.into())
}
