//! Ending HTTP/2 connections whose peers keep them waiting.
//!
//! The bytes of such a connection tell nothing: a peer that answers pings moves some for ever. So
//! what counts is what its requests are at.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

/// The requests of one connection.
#[derive(Clone, Debug)]
pub(super) struct Streams(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Requests that have no answer yet. The time limits of their bodies are the reader's.
    answering: usize,
    /// Answers that are on their way to the client.
    sending: usize,
    /// When a request began or ended, or a piece of an answer was taken, last.
    moved: Instant,
}

impl Streams {
    pub(super) fn new() -> Self {
        let state = State { answering: 0, sending: 0, moved: Instant::now() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// A request has come.
    pub(super) fn begin(&self) -> Answering {
        self.change(|state| state.answering += 1);
        Answering(self.clone())
    }

    /// Ends when there has been no request for so long.
    pub(super) async fn idle(&self, limit: Duration) {
        self.quiet(limit, |state| state.answering == 0 && state.sending == 0).await;
    }

    /// Ends when answers are there, and for so long their client has taken nothing of any.
    pub(super) async fn stalled(&self, limit: Duration) {
        self.quiet(limit, |state| state.answering == 0 && state.sending > 0).await;
    }

    /// Ends when something has been so, and nothing moved, for so long.
    async fn quiet(&self, limit: Duration, is_so: fn(&State) -> bool) {
        loop {
            let now = Instant::now();
            let next = {
                let state = self.lock();
                if is_so(&state) { state.moved + limit } else { now + limit }
            };
            if next <= now {
                return;
            }
            sleep_until(next).await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.moved = Instant::now();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Answering(Streams);

impl Answering {
    /// The answer is made; its body is still to be sent.
    pub(super) fn sending<B>(self, body: B) -> Sending<B> {
        self.0.change(|state| state.sending += 1);
        Sending { body, streams: self.0.clone() }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.change(|state| state.answering -= 1);
    }
}

/// The body of an answer, until it is sent or given up.
#[derive(Debug)]
pub(super) struct Sending<B> {
    body: B,
    streams: Streams,
}

impl<B: Body + Unpin> Body for Sending<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.streams.change(|_| {});
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Sending<B> {
    fn drop(&mut self) {
        self.streams.change(|state| state.sending -= 1);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    async fn seconds_until(ended: impl Future<Output = ()>) -> Option<u64> {
        let began = Instant::now();
        let ended = tokio::time::timeout(Duration::from_secs(1000), ended).await;
        ended.ok().map(|()| began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_requests_is_idle_and_one_with_some_is_not() {
        let streams = Streams::new();
        assert_eq!(seconds_until(streams.idle(LIMIT)).await, Some(10));
        let request = streams.begin();
        assert_eq!(seconds_until(streams.idle(LIMIT)).await, None);
        assert_eq!(seconds_until(streams.stalled(LIMIT)).await, None);
        drop(request);
        assert_eq!(seconds_until(streams.idle(LIMIT)).await, Some(10));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_which_nothing_is_taken_stalls() {
        let streams = Streams::new();
        let mut body = streams.begin().sending(Full::new(&b"answer"[..]));
        assert_eq!(seconds_until(streams.stalled(LIMIT)).await, Some(10));
        body.frame().await.unwrap().unwrap();
        assert_eq!(seconds_until(streams.stalled(LIMIT)).await, Some(10));
        drop(body);
        assert_eq!(seconds_until(streams.stalled(LIMIT)).await, None);
    }
}
