//! What a descriptor of a process still knows when the process is gone.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

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
