//! What is known of a process when it is gone, by its descriptor.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fstatfs, open};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::mount::{attach, copy_of_open};

/// What `statfs` calls the file system of processes.
const PID_FS_MAGIC: u64 = 0x5049_4446;

/// How often, and how far apart, it is looked whether somebody has waited for a process.
const TRIES: u32 = 200;
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// Mounts the process of `pidfd` on a file at `path`, made where it is missing: as long as the mount is there, the
/// kernel knows how it ended. One that is there already stays.
pub(crate) fn pin(pidfd: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    if open_pin(path).is_some() {
        return Ok(());
    }
    File::create(path)?;
    let target = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    attach(copy_of_open(pidfd, false)?, target)
}

/// What is pinned at `path`. Whoever was killed while pinning it has left an ordinary file.
pub(crate) fn open_pin(path: &Path) -> Option<OwnedFd> {
    let pin = open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let is_process = fstatfs(&pin).is_ok_and(|found| found.f_type as u64 == PID_FS_MAGIC);
    is_process.then_some(pin)
}

/// How the process of `pidfd` ended, as wait(2) has it, once somebody has waited for it. `None` for
/// one that has not ended.
///
/// # Errors
///
/// Before Linux 6.15 nobody but its parent gets to know.
pub(crate) fn wait_status(pidfd: BorrowedFd<'_>) -> io::Result<Option<i32>> {
    // SAFETY: all zero is a value of this structure of numbers.
    let mut information: libc::pidfd_info = unsafe { std::mem::zeroed() };
    information.mask = libc::PIDFD_INFO_EXIT.into();
    // SAFETY: the kernel writes no more than the size that is part of the request's number.
    let result =
        unsafe { libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut information) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let is_known = information.mask & u64::from(libc::PIDFD_INFO_EXIT) != 0;
    Ok(is_known.then_some(information.exit_code))
}

/// Waits for a process that has ended, and says how, as wait(2) has it. One that another program has started is this
/// process's child when that program has ended, which may be a moment later; and others may wait for it before.
/// `None` when nobody says how.
pub(crate) fn reap(pid: Pid, pidfd: BorrowedFd<'_>) -> Option<i32> {
    for _ in 0..TRIES {
        if let Ok(Some((_, status))) = waitpid(Some(pid), WaitOptions::empty()) {
            return Some(status.as_raw());
        }
        let mut waited_for = [PollFd::from_borrowed_fd(pidfd, PollFlags::empty())];
        if !matches!(poll(&mut waited_for, Some(&PAUSE)), Ok(0)) {
            break;
        }
    }
    wait_status(pidfd).ok().flatten()
}

/// What a process ended with, by a status as wait(2) has it and as a shell says it: the exit code, or 128 and the signal.
pub(crate) fn exit_code(status: i32) -> u8 {
    let code = match status & 0x7f {
        0 => status >> 8 & 0xff,
        signal => 128 + signal,
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::process::Command;

    use rustix::process::{PidfdFlags, pidfd_open};

    use super::*;

    #[test]
    fn the_end_of_a_process_is_known_after_it_was_waited_for() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "read x; exit 42"]).stdin(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        assert!(matches!(wait_status(pidfd.as_fd()), Ok(None) | Err(_)));
        drop(child.stdin.take());
        child.wait().unwrap();
        // An older kernel says that it does not know.
        if let Ok(status) = wait_status(pidfd.as_fd()) {
            assert_eq!(status, Some(42 << 8));
        }
    }

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        for (status, code) in [(0, 0), (42 << 8, 42), (9, 137), (15 | 0x80, 143), (255 << 8, 255)] {
            assert_eq!(exit_code(status), code);
        }
    }
}
