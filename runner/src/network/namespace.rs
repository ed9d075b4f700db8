//! Network namespaces, which last as long as a descriptor of them or a process in them.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::thread::{self, JoinHandle};

use rustix::thread::UnshareFlags;

use super::netlink::{Family, Socket};
use crate::oci::kernel::task::unshare;

/// What a thread needs that makes three system calls.
const STACK: usize = 64 * 1024;

/// A new namespace.
#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) descriptor: OwnedFd,
    /// Speaks of the links in it, whoever uses it.
    pub(super) socket: Socket,
}

/// A namespace that is being made.
#[derive(Debug)]
pub(super) struct NewNamespace(JoinHandle<io::Result<Namespace>>);

impl NewNamespace {
    /// Begins to make one. A thread goes into it and ends: so this process never leaves its own, whatever
    /// fails.
    pub(super) fn begin() -> io::Result<Self> {
        let inside = thread::Builder::new().stack_size(STACK).spawn(|| {
            unshare(UnshareFlags::NEWNET)?;
            // Its containers are told their way by us, not by who else is on the bridge. What is set
            // here is what links get that come later; a kernel without IPv6 has no such file.
            let _ = fs::write("/proc/sys/net/ipv6/conf/default/accept_ra", "0");
            let descriptor = File::open("/proc/thread-self/ns/net")?.into();
            Ok(Namespace { descriptor, socket: Socket::open(Family::Route)? })
        })?;
        Ok(Self(inside))
    }

    /// Waits until it is there.
    pub(super) fn finish(self) -> io::Result<Namespace> {
        self.0.join().unwrap_or_else(|_| Err(io::Error::other("the thread has panicked")))
    }
}

/// The namespace that this thread is in.
pub(super) fn own() -> io::Result<OwnedFd> {
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}

/// The namespace that the process `pid` is in.
pub(super) fn of(pid: u32) -> io::Result<OwnedFd> {
    Ok(File::open(format!("/proc/{pid}/ns/net"))?.into())
}
