//! Bodies that are counted, and that end as a fault wants.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::fault::BodyFault;

/// A body on its way through the proxy.
pub(super) struct Metered<B> {
    inner: B,
    passed: u64,
    counter: Arc<AtomicU64>,
    fault: Option<BodyFault>,
    flushed: bool,
    ended: bool,
}

impl<B> Metered<B> {
    pub(super) fn new(inner: B, counter: Arc<AtomicU64>, fault: Option<BodyFault>) -> Self {
        Self { inner, passed: 0, counter, fault, flushed: false, ended: false }
    }

    /// What of `data` passes; the fault's offset is counted from the body's begin.
    fn let_pass(&mut self, data: Bytes) -> Bytes {
        let passed = match self.fault {
            Some(BodyFault::Flip(at)) => flip(data, at.checked_sub(self.passed)),
            Some(BodyFault::Cut(at) | BodyFault::Stall(at) | BodyFault::Truncate(at)) => {
                let room = usize::try_from(at - self.passed).unwrap_or(usize::MAX);
                data.slice(..data.len().min(room))
            }
            None => data,
        };
        self.passed += passed.len() as u64;
        self.counter.fetch_add(passed.len() as u64, Ordering::Relaxed);
        passed
    }

    /// What the reader gets where the fault is, if it is here.
    fn end(&self) -> Option<Poll<Option<io::Result<Frame<Bytes>>>>> {
        match self.fault? {
            BodyFault::Cut(at) if self.passed >= at => {
                Some(Poll::Ready(Some(Err(io::Error::other("cut on purpose")))))
            }
            // Nobody wakes this body again: it ends with its connection.
            BodyFault::Stall(at) if self.passed >= at => Some(Poll::Pending),
            BodyFault::Truncate(at) if self.passed >= at => Some(Poll::Ready(None)),
            _ => None,
        }
    }
}

fn flip(data: Bytes, at: Option<u64>) -> Bytes {
    let at = at.and_then(|at| usize::try_from(at).ok()).filter(|at| *at < data.len());
    let Some(at) = at else { return data };
    let mut wrong = data.to_vec();
    wrong[at] ^= 1;
    wrong.into()
}

impl<B> Body for Metered<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(end) = self.end() {
            // What came before the fault leaves while this waits; an error would throw it away.
            if !self.flushed {
                self.flushed = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.ended = end.is_ready();
            return end;
        }
        match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(io::Error::other(error)))),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Poll::Ready(Some(Ok(Frame::data(self.let_pass(data))))),
                Err(trailers) => Poll::Ready(Some(Ok(trailers))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        // A fault at the very end is still to come.
        self.fault.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.fault.is_some() { SizeHint::default() } else { self.inner.size_hint() }
    }
}
