//! `clone3`: a process of its own in new namespaces, with a descriptor for it.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Pid;

/// The cloned process, seen from the one that cloned it.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: Pid,
    /// Names the process for as long as it is open, whoever gets its number later.
    pub(crate) pidfd: OwnedFd,
}

/// Which of the two a process is.
#[derive(Debug)]
pub(crate) enum Cloned {
    Parent(Child),
    Child,
}

/// Of `clone3` alone, so it does not fit the `int` that the C library has for the others.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// How often, and how far apart, it is looked whether the other threads have ended.
const TRIES: u32 = 10_000;
const PAUSE: Duration = Duration::from_micros(50);

/// Threads that were joined have ended for who joined them, and are there for a moment still.
fn wait_for_other_threads() -> io::Result<()> {
    for _ in 0..TRIES {
        // The folder of a process with one thread has three links: its own two, and that thread.
        if fs::metadata("/proc/self/task")?.nlink() == 3 {
            return Ok(());
        }
        sleep(PAUSE);
    }
    Err(io::Error::new(io::ErrorKind::Unsupported, "this process has other threads"))
}

/// Clones this process with `flags` (`CLONE_NEW*`), into `cgroup` (of version 2) from its first
/// moment.
///
/// # Errors
///
/// The kernel's, and [`io::ErrorKind::Unsupported`] when this process has more than one thread:
/// what the others hold would be held for ever in the clone.
pub(crate) fn clone(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    wait_for_other_threads()?;
    let mut pidfd: libc::c_int = -1;
    let into_cgroup = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    let arguments = libc::clone_args {
        flags: flags | libc::CLONE_PIDFD as u64 | into_cgroup,
        pidfd: &raw mut pidfd as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: cgroup.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    // SAFETY: the arguments live until the call returns, and `pidfd` is where the kernel is told to
    // write. Without CLONE_VM the child has a copy of all memory, and goes on here as after fork;
    // there is no other thread that could hold a lock in it.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>())
    };
    match i32::try_from(pid).ok().and_then(Pid::from_raw) {
        _ if pid < 0 => Err(io::Error::last_os_error()),
        None => Ok(Cloned::Child),
        // SAFETY: the kernel has just opened it for this process, and nobody else knows of it.
        Some(pid) => {
            Ok(Cloned::Parent(Child { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_not_cloned() {
        std::thread::scope(|scope| {
            let (hold, held) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || held.recv());
            let error = clone(0, None).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            drop(hold);
        });
    }
}
