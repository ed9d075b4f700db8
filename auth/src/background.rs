//! Work that takes a processor for long, behind the threads that serve requests.
//!
//! Niceness says which share of a processor a thread gets, not for how long at a time: a thread that
//! computes keeps it until the kernel's next tick, several milliseconds, for which a request would
//! wait. So the work is interrupted a few thousand times a second by a timer of its own, and gives the
//! processor up to whoever wants it. Where somebody did, it also sleeps for a moment: only a processor
//! that has nothing to do takes over what waits for another one.
#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
use std::sync::Once;

/// By how much it steps back: a crowd that logs in gets its share of the processors, and no more than
/// that, while others pull.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// For how long it keeps a processor that another thread wants, in nanoseconds.
#[cfg(target_os = "linux")]
const TURN: i64 = 200_000;

/// A yield that takes longer than this, in nanoseconds, let another thread run.
#[cfg(target_os = "linux")]
const WANTED: i64 = 15_000;

/// For how long it sleeps then, in nanoseconds.
#[cfg(target_os = "linux")]
const PAUSE: i64 = 300_000;

/// What the kernel takes for its turn, in nanoseconds: the least that it grants. Who yields has had
/// the whole of it, whatever is left, so that the usual few milliseconds would have it starve.
#[cfg(target_os = "linux")]
const SLICE: u64 = 100_000;

/// Does nothing where nobody waits for it, and is ignored where nobody has asked for it.
#[cfg(target_os = "linux")]
const SIGNAL: i32 = libc::SIGURG;

/// Has the calling thread step back for good. Where the system does not allow it, it is only less
/// polite. Linux before 6.12 takes the slice and does not heed it.
pub(crate) fn step_back() {
    #[cfg(target_os = "linux")]
    {
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
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    }
}

/// Does work that gives the processor up every so often.
pub(crate) fn in_turns<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(target_os = "linux")]
    let _turns = Turns::begin();
    work()
}

/// While it lives, the thread that has made it gives way.
#[cfg(target_os = "linux")]
struct Turns {
    timer: libc::timer_t,
}

#[cfg(target_os = "linux")]
impl Turns {
    /// `None` where the system has no timer left.
    fn begin() -> Option<Self> {
        static HANDLER: Once = Once::new();
        HANDLER.call_once(|| {
            // SAFETY: all zeros is a `sigaction`; the handler makes system calls only, which a handler of
            // signals may make, and calls that it interrupts are begun again.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = give_way as extern "C" fn(i32) as usize;
                action.sa_flags = libc::SA_RESTART;
                libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut());
            }
        });
        // SAFETY: all zeros is a `sigevent`, and the members that are set are those of its kind. The
        // kernel reads both structures, and writes the timer's name, before the calls return.
        unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = SIGNAL;
            event.sigev_notify_thread_id = libc::gettid();
            let mut timer = std::mem::zeroed();
            if libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) != 0 {
                return None;
            }
            let turns = Self { timer };
            let turn = libc::timespec { tv_sec: 0, tv_nsec: TURN };
            let every = libc::itimerspec { it_interval: turn, it_value: turn };
            libc::timer_settime(turns.timer, 0, &raw const every, std::ptr::null_mut());
            Some(turns)
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Turns {
    fn drop(&mut self) {
        // SAFETY: the timer was made in `begin`, and is deleted once.
        unsafe { libc::timer_delete(self.timer) };
    }
}

/// What a handler does must leave `errno` as it was: neither of these calls can fail but for the sleep, which
/// the signal of somebody else may end.
#[cfg(target_os = "linux")]
extern "C" fn give_way(_: i32) {
    // SAFETY: the kernel reads and fills structures of this frame alone; `errno` is the thread's own.
    unsafe {
        let errno = *libc::__errno_location();
        let before = nanoseconds();
        libc::sched_yield();
        if nanoseconds() - before > WANTED {
            let pause = libc::timespec { tv_sec: 0, tv_nsec: PAUSE };
            libc::nanosleep(&raw const pause, std::ptr::null_mut());
        }
        *libc::__errno_location() = errno;
    }
}

/// Of a clock that only goes forward.
#[cfg(target_os = "linux")]
fn nanoseconds() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the structure, and keeps no pointer.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_the_thread_that_asks_steps_back() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        let stepped_back = thread::spawn(move || {
            step_back();
            niceness()
        });
        assert_eq!(stepped_back.join().unwrap(), NICENESS);
        assert_eq!(niceness(), before);
    }

    /// How often the calling thread has gone from a processor by itself, as a thread that sleeps or yields
    /// does.
    fn given_up() -> i64 {
        // SAFETY: all zeros is a `rusage`, which the kernel fills.
        unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage);
            usage.ru_nvcsw + usage.ru_nivcsw
        }
    }

    /// For how long the calling thread has had a processor.
    fn computed() -> Duration {
        // SAFETY: the kernel fills the structure, and keeps no pointer.
        unsafe {
            let mut time: libc::timespec = std::mem::zeroed();
            libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time);
            Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
        }
    }

    /// Has the calling thread run on one processor alone, the first that it may have.
    fn stay_on_one_processor() {
        // SAFETY: all zeros is an empty set of processors; the kernel writes to and reads from it no more
        // than its size.
        unsafe {
            let mut processors: libc::cpu_set_t = std::mem::zeroed();
            libc::sched_getaffinity(0, size_of_val(&processors), &raw mut processors);
            let first = (0..1024).find(|cpu| libc::CPU_ISSET(*cpu, &processors)).unwrap_or(0);
            libc::CPU_ZERO(&mut processors);
            libc::CPU_SET(first, &mut processors);
            libc::sched_setaffinity(0, size_of_val(&processors), &raw const processors);
        }
    }

    /// Computes for a twentieth of a second, and tells how often it gave the processor up.
    fn compute() -> i64 {
        let before = given_up();
        let end = computed() + Duration::from_millis(50);
        while computed() < end {}
        given_up() - before
    }

    #[test]
    fn work_in_turns_gives_way_hundreds_of_times_to_a_thread_that_wants_to_run() {
        let (begun, done) = (Barrier::new(2), AtomicBool::new(false));
        let given_up = thread::scope(|scope| {
            scope.spawn(|| {
                stay_on_one_processor();
                begun.wait();
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            let given_up = scope.spawn(|| {
                stay_on_one_processor();
                step_back();
                begun.wait();
                let given_up = in_turns(compute);
                done.store(true, Ordering::Relaxed);
                given_up
            });
            given_up.join().unwrap()
        });
        // By the kernel's ticks alone it is some fifty times.
        assert!(given_up > 120, "{given_up}");
    }

    #[test]
    fn the_signal_of_the_turns_ends_nothing_when_they_are_over() {
        in_turns(|| {});
        // SAFETY: the handler is ours, or the signal is ignored.
        assert_eq!(unsafe { libc::raise(SIGNAL) }, 0);
    }
}
