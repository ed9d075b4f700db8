//! Which processor a thread begins on.
#![allow(unsafe_code)]

use std::os::unix::thread::JoinHandleExt as _;
use std::thread::JoinHandle;

/// The processors that a thread of this process may run on beside the one that its maker runs on.
#[derive(Debug)]
pub(crate) struct Others(libc::cpu_set_t);

impl Others {
    /// `None` where there are no others.
    pub(crate) fn find() -> Option<Self> {
        // SAFETY: all zero is the empty set.
        let mut processors: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes no more than the size that is named.
        let result = unsafe { libc::sched_getaffinity(0, SIZE, &raw mut processors) };
        if result < 0 {
            return None;
        }
        let own = rustix::thread::sched_getcpu();
        // SAFETY: the set is borrowed, and has a place for every processor: the kernel refuses to fill a smaller one.
        unsafe { libc::CPU_CLR(own, &mut processors) };
        // SAFETY: as before.
        let count = unsafe { libc::CPU_COUNT(&processors) };
        (count > 0).then_some(Self(processors))
    }

    /// Has a thread that was made just now run there, and stay there. A kernel may have it wait behind its maker
    /// although others have nothing to do.
    pub(crate) fn take<T>(&self, thread: &JoinHandle<T>) {
        // SAFETY: the handle names a thread that nobody has joined, and the set lives until the return. What is
        // refused changes nothing.
        unsafe { libc::pthread_setaffinity_np(thread.as_pthread_t(), SIZE, &raw const self.0) };
    }
}

const SIZE: usize = size_of::<libc::cpu_set_t>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_runs_where_its_maker_does_not() {
        // A machine with one processor has nothing to show.
        let Some(others) = Others::find() else { return };
        let thread = std::thread::spawn(|| {
            std::thread::park();
            rustix::thread::sched_getcpu()
        });
        others.take(&thread);
        thread.thread().unpark();
        let processor = thread.join().unwrap();
        // SAFETY: the set is borrowed.
        assert!(unsafe { libc::CPU_ISSET(processor, &others.0) });
    }
}
