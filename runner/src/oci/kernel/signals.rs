//! Signals: their names, and how a command waits for them.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd as _, OwnedFd};

use rustix::process::Signal;

use super::super::{Error, Result};

/// The names without `SIG`.
const NAMES: [(&str, i32); 32] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("IOT", libc::SIGIOT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

/// The highest number of the kernel.
const LAST: i32 = 64;

/// Reads `TERM`, `SIGTERM`, `15`, `RTMIN+3` or `RTMAX-1`.
pub(crate) fn parse(text: &str) -> Result<Signal> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = if let Ok(number) = name.parse::<i32>() {
        Some(number)
    } else if let Some(offset) = name.strip_prefix("RTMIN") {
        offset_of(offset).map(|offset| libc::SIGRTMIN() + offset)
    } else if let Some(offset) = name.strip_prefix("RTMAX") {
        offset_of(offset).map(|offset| libc::SIGRTMAX() + offset)
    } else {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
    };
    number
        .and_then(from_number)
        .ok_or_else(|| Error::invalid(format!("{text:?} is no signal: TERM or 15, for example")))
}

fn offset_of(text: &str) -> Option<i32> {
    if text.is_empty() { Some(0) } else { text.parse().ok() }
}

/// The signal of that number.
pub(crate) fn from_number(number: i32) -> Option<Signal> {
    // SAFETY: rustix asks that the C library does not use the signal for itself. This process sends
    // it to others and never handles it, so the C library's use of it here is not touched.
    (1..=LAST).contains(&number).then(|| unsafe { Signal::from_raw_unchecked(number) })
}

/// Keeps all signals from being delivered, and gives a descriptor that they can be read from. The
/// mask is inherited: a cloned process calls [`unblock`].
pub(crate) fn divert() -> io::Result<OwnedFd> {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is filled before it is read, and outlives each call.
    let fd = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        if libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut()) < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::signalfd(-1, all.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was opened just now, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The next signal that was diverted, if there is one.
pub(crate) fn next(diverted: &OwnedFd) -> Option<Signal> {
    let mut information = [0; size_of::<libc::signalfd_siginfo>()];
    let length = rustix::io::read(diverted, &mut information).ok()?;
    let number = information.get(..4).filter(|_| length >= 4)?;
    from_number(i32::from_ne_bytes(number.try_into().ok()?))
}

/// Has signals delivered again, each as a program expects it that was just executed.
pub(crate) fn unblock() -> io::Result<()> {
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is emptied before it is read.
    let result = unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut())
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    reset();
    Ok(())
}

/// Has every signal do what it does by default. What is ignored would be inherited: Rust's runtime does so with one, and
/// a caller may with any.
fn reset() {
    // All zero: the default action, nothing blocked meanwhile.
    let default = [0_u64; 4];
    for number in 1..=LAST {
        // SAFETY: the kernel reads as much of an action as there is, and the default one needs no handler. The C library
        // is passed by because it refuses to speak of the signals that it keeps for itself. Of the two that cannot be
        // changed nothing comes but an error.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, number, default.as_ptr(), 0_usize, 8_usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGKILL", 9),
            ("9", 9),
            ("sigusr1", 10),
            ("RTMIN+3", 37),
            ("RTMAX", 64),
        ] {
            assert_eq!(parse(text).unwrap().as_raw(), number, "{text}");
        }
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in ["", "0", "65", "-1", "SIG", "NOTHING", "RTMIN+99"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
