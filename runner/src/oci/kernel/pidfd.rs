//! What is known of a process when it is gone, by its descriptor.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, fstatfs, open};

use super::mount::{attach, copy_of_open};

/// What `statfs` calls the file system of processes.
const PID_FS_MAGIC: u64 = 0x5049_4446;

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

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::process::Command;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

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
}
