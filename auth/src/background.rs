//! A thread that steps back behind those that serve requests.
#![allow(unsafe_code)]

use std::io;

/// By how much: a crowd that logs in gets its share of the processors, and no more than that, while
/// others pull.
const NICENESS: i32 = 10;

/// For how long it may keep a processor that another thread wants, in nanoseconds: the least that the
/// kernel grants. By itself it grants several milliseconds, for which a request would wait.
const SLICE: u64 = 100_000;

/// Has the calling thread step back.
///
/// # Errors
/// When the system does not allow it. Linux before 6.12 takes the slice and does not heed it.
#[cfg(target_os = "linux")]
pub(crate) fn step_back() -> io::Result<()> {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        sched_nice: NICENESS,
        sched_priority: 0,
        sched_runtime: SLICE,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads as many bytes as `size` says, all of which are initialised, and keeps
    // no pointer.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Elsewhere only a whole process can step back.
#[cfg(not(target_os = "linux"))]
pub(crate) fn step_back() -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_that_asks_steps_back() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        let stepped_back = std::thread::spawn(move || {
            step_back().unwrap();
            niceness()
        });
        assert_eq!(stepped_back.join().unwrap(), NICENESS);
        assert_eq!(niceness(), before);
    }
}
