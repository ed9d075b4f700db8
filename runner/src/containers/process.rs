//! The first process of a container, seen by whoever may not be its parent.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, pidfd_open, pidfd_send_signal, waitpid,
};

use super::error::{ContainerError, Doing as _};
use crate::oci::container::Identity;
use crate::oci::kernel::pidfd::{exit_code, open_pin, pin, reap, wait_status};

/// How long whoever is the parent of a process now may take to wait for it.
const REAPED: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };
/// The exit code of a program of which nobody knows how it ended; docker's, too.
pub(super) const UNKNOWN_CODE: u8 = 255;

/// A process that is certainly the one that was written down.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    pub(super) pidfd: OwnedFd,
    /// How it ended, where that was found while waiting for others.
    status: Option<WaitStatus>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) code: u8,
    /// Whether that is what it ended with, or nobody knows.
    pub(super) is_known: bool,
}

impl Outcome {
    /// By a status as wait(2) has it.
    fn of(status: Option<i32>) -> Self {
        Self { code: status.map_or(UNKNOWN_CODE, exit_code), is_known: status.is_some() }
    }
}

impl Process {
    /// `None` when it has ended, and its number may be another's.
    pub(super) fn of(identity: &Identity) -> Result<Option<Self>, ContainerError> {
        let Some(pid) = Pid::from_raw(identity.pid) else { return Ok(None) };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(None),
            other => other.doing(|| format!("open the process {}", identity.pid))?,
        };
        // Looked at after it was opened: the number cannot have changed hands since.
        let lives =
            identity.is_alive().map_err(|error| ContainerError::Conflict(error.to_string()))?;
        Ok(lives.then_some(Self { pid, pidfd, status: None }))
    }

    /// A child of this process, which stays what it is until it is waited for.
    pub(super) fn of_child(pid: Pid) -> Result<Self, ContainerError> {
        let pidfd = pidfd_open(pid, PidfdFlags::empty());
        Ok(Self { pid, pidfd: pidfd.doing(|| "open the process of the container")?, status: None })
    }

    /// The one that was pinned at `path`, whether it still runs or not.
    pub(super) fn pinned(path: &Path, identity: &Identity) -> Result<Option<Self>, ContainerError> {
        let Some(pid) = Pid::from_raw(identity.pid) else { return Ok(None) };
        match open_pin(path) {
            Some(pidfd) => Ok(Some(Self { pid, pidfd, status: None })),
            None => Self::of(identity),
        }
    }

    /// Its number.
    pub(super) fn number(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends a signal. `false` when it has ended.
    pub(super) fn signal(&self, signal: Signal) -> Result<bool, ContainerError> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(false),
            other => other.map(|()| true).doing(|| "send the signal"),
        }
    }

    /// Waits for its end. `false` when it did not come in time.
    pub(super) fn wait(&self, time: Option<Duration>) -> Result<bool, ContainerError> {
        let deadline = time.map(|time| std::time::Instant::now() + time);
        loop {
            let left = deadline
                .map(|deadline| deadline.saturating_duration_since(std::time::Instant::now()));
            let left = left.map(|left| Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            });
            let mut ended = [PollFd::new(&self.pidfd, PollFlags::IN)];
            match poll(&mut ended, left.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                other => return Ok(other.doing(|| "wait for the process")? > 0),
            }
        }
    }

    /// Waits for all children of this process that have ended.
    pub(super) fn reap(&mut self) {
        while let Ok(Some((pid, status))) = waitpid(None, WaitOptions::NOHANG) {
            if pid == self.pid {
                self.status = Some(status);
            }
        }
    }

    /// How it ended, after it has. Its parent waits for it; for others the kernel may know.
    pub(super) fn outcome(&self) -> Outcome {
        if let Some(status) = self.status {
            return Outcome::of(Some(status.as_raw()));
        }
        Outcome::of(reap(self.pid, self.pidfd.as_fd()))
    }

    /// Mounts the process on a file at `path`, by which its exit code is found when its parent is gone.
    pub(super) fn pin(&self, path: &Path) -> io::Result<()> {
        pin(self.pidfd.as_fd(), path)
    }
}

/// Takes the mount of [`Process::pin`] away.
pub(super) fn unpin(path: &Path) -> Result<(), ContainerError> {
    match unmount(path, UnmountFlags::DETACH) {
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error).doing(|| format!("unmount {}", path.display())),
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.doing(|| format!("remove {}", path.display())),
    }
}

/// How the process that is pinned at `path` ended.
pub(super) fn pinned_outcome(path: &Path) -> Outcome {
    Outcome::of(open_pin(path).and_then(|pidfd| {
        // The kernel says how once somebody has waited for it, and tells when that is.
        let mut waited_for = [PollFd::new(&pidfd, PollFlags::empty())];
        let _ = poll(&mut waited_for, Some(&REAPED));
        wait_status(pidfd.as_fd()).ok().flatten()
    }))
}

/// A path of what is open as `fd`, for calls that take paths of a limited length.
pub(super) fn path_in(folder: &OwnedFd, name: &str) -> std::path::PathBuf {
    format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()).into()
}
