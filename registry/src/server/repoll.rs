use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// How many times in a row a future is polled before other tasks have their turn.
const TURNS: usize = 32;

const IDLE: u8 = 0;
const POLLING: u8 = 1;
const WOKEN: u8 = 2;

/// Polls a future again when it woke itself while it was polled.
///
/// The parts of a connection wake one another: hyper's reader hands a piece of a body to the
/// request's handler, which asks for the next. By way of the scheduler each such step would wake
/// another thread, which then takes the task away from this one.
pub(super) struct Repoll<F> {
    future: F,
    signal: Arc<Signal>,
    waker: Waker,
}

impl<F> Repoll<F> {
    pub(super) fn new(future: F) -> Self {
        let signal = Arc::new(Signal { state: AtomicU8::new(IDLE), task: AtomicWaker::new() });
        let waker = signal.clone().into();
        Self { future, signal, waker }
    }
}

impl<F: Future + Unpin> Future for Repoll<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.signal.task.register(cx.waker());
        for _ in 0..TURNS {
            this.signal.state.store(POLLING, Ordering::SeqCst);
            let polled = Pin::new(&mut this.future).poll(&mut Context::from_waker(&this.waker));
            if polled.is_ready() || this.signal.rests() {
                return polled;
            }
        }
        this.signal.state.store(IDLE, Ordering::SeqCst);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

struct Signal {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Signal {
    /// Ends a turn, unless a wake-up came during it.
    fn rests(&self) -> bool {
        self.state.compare_exchange(POLLING, IDLE, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Whoever polls sees the mark at the end of the turn.
        if self.state.fetch_or(WOKEN, Ordering::SeqCst) == IDLE {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Outer(AtomicUsize);

    impl Wake for Outer {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Polls a future that wakes itself so many times before it is ready, and tells how often it
    /// was polled and how often the task was woken.
    fn polled_once(wakes: usize) -> (bool, usize, usize) {
        let mut polls = 0;
        let outer = Arc::new(Outer::default());
        let mut repoll = Repoll::new(std::future::poll_fn(|cx| {
            polls += 1;
            if polls > wakes {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        let ready =
            Pin::new(&mut repoll).poll(&mut Context::from_waker(&outer.clone().into())).is_ready();
        (ready, polls, outer.0.load(Ordering::SeqCst))
    }

    #[test]
    fn a_future_that_woke_itself_is_polled_again_without_waking_its_task() {
        assert_eq!(polled_once(3), (true, 4, 0));
    }

    #[test]
    fn a_future_that_always_wakes_itself_lets_others_have_their_turn() {
        assert_eq!(polled_once(1_000), (false, TURNS, 1));
    }

    #[test]
    fn a_wake_from_elsewhere_reaches_the_task_once() {
        let mut inner = None;
        let outer = Arc::new(Outer::default());
        let mut repoll = Repoll::new(std::future::poll_fn(|cx| {
            inner = Some(cx.waker().clone());
            Poll::<()>::Pending
        }));
        let waker = outer.clone().into();
        assert!(Pin::new(&mut repoll).poll(&mut Context::from_waker(&waker)).is_pending());
        drop(repoll);
        let inner = inner.unwrap();
        inner.wake_by_ref();
        inner.wake_by_ref();
        assert_eq!(outer.0.load(Ordering::SeqCst), 1);
    }
}
