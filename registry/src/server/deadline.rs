//! Ending connections whose peers keep them waiting.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a peer may keep a connection waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// From the first byte of a request to the end of its head, however its bytes trickle.
    pub(super) head: Duration,
    /// Without taking a byte of what is sent to it.
    pub(super) write: Duration,
    /// Between two requests.
    pub(super) idle: Duration,
}

/// What a connection is at, told by whoever answers its requests.
#[derive(Debug, Default)]
pub(super) struct Phase(AtomicU8);

const BETWEEN: u8 = 0;
const HEAD: u8 = 1;
const REQUEST: u8 = 2;

impl Phase {
    /// A request is being answered. The time limits of its body are the reader's of the body.
    pub(super) fn request_begins(&self) {
        self.0.store(REQUEST, Ordering::Relaxed);
    }

    /// The head of the answer is made; another request may come.
    pub(super) fn request_ends(&self) {
        self.0.store(BETWEEN, Ordering::Relaxed);
    }
}

/// A stream that fails with `TimedOut` when its peer lets a deadline pass.
///
/// The timer is not moved with every byte: when it fires, it looks at the time of the last byte
/// and goes on sleeping if that was recent. So a busy connection costs the timer nothing.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    deadlines: Deadlines,
    phase: Arc<Phase>,
    last_byte: Instant,
    head_began: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, deadlines: Deadlines, phase: Arc<Phase>) -> Self {
        let now = Instant::now();
        let timer = Box::pin(sleep_until(now + deadlines.head));
        Self { stream, deadlines, phase, last_byte: now, head_began: now, timer }
    }

    fn moved(&mut self) {
        self.last_byte = Instant::now();
    }

    /// A byte came while no request was being answered: a head begins with it.
    fn read_some(&mut self) {
        self.moved();
        let begins =
            self.phase.0.compare_exchange(BETWEEN, HEAD, Ordering::Relaxed, Ordering::Relaxed);
        if begins.is_ok() {
            self.head_began = self.last_byte;
        }
    }

    fn read_deadline(&self) -> Option<Instant> {
        match self.phase.0.load(Ordering::Relaxed) {
            BETWEEN => Some(self.last_byte + self.deadlines.idle),
            HEAD => Some(self.head_began + self.deadlines.head),
            _ => None,
        }
    }

    /// Pending until `deadline` passes, and then an error.
    fn poll_deadline<T>(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
    ) -> Poll<io::Result<T>> {
        // The phase can get a nearer deadline without a wake-up, so the timer looks regularly.
        let patience = self.deadlines.head.min(self.deadlines.write);
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            let next = deadline.unwrap_or(now + patience).min(now + patience);
            self.timer.as_mut().reset(next);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {
                if buffer.filled().len() > before {
                    self.read_some();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                let deadline = self.read_deadline();
                self.poll_deadline(cx, deadline)
            }
            failed => failed,
        }
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn poll_written(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(_)) => self.moved(),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                let deadline = self.last_byte + self.deadlines.write;
                return self.poll_deadline(cx, Some(deadline));
            }
        }
        written
    }

    /// A stream that encrypts has bytes of its own to write, for which its peer may let it wait.
    fn poll_ended(
        &mut self,
        cx: &mut Context<'_>,
        ended: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        match ended {
            Poll::Pending => {
                let deadline = self.last_byte + self.deadlines.write;
                self.poll_deadline(cx, Some(deadline))
            }
            ended => ended,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.poll_written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.poll_written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.poll_ended(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut_down = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.poll_ended(cx, shut_down)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const DEADLINES: Deadlines = Deadlines {
        head: Duration::from_secs(10),
        write: Duration::from_secs(20),
        idle: Duration::from_secs(100),
    };

    fn watched() -> (Watched<DuplexStream>, DuplexStream, Arc<Phase>) {
        let (ours, theirs) = duplex(16);
        let phase = Arc::new(Phase::default());
        (Watched::new(ours, DEADLINES, phase.clone()), theirs, phase)
    }

    async fn seconds_until_timeout(work: impl Future<Output = io::Result<usize>>) -> u64 {
        let began = Instant::now();
        assert_eq!(work.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_sends_nothing_may_idle() {
        let (mut ours, _theirs, _) = watched();
        assert_eq!(seconds_until_timeout(ours.read(&mut [0; 16])).await, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_has_one_deadline() {
        let (mut ours, mut theirs, _) = watched();
        let trickle = tokio::spawn(async move {
            while theirs.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
        });
        let read_all = async { ours.read_to_end(&mut Vec::new()).await };
        assert_eq!(seconds_until_timeout(read_all).await, 10);
        drop(ours);
        trickle.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_being_answered_has_no_deadline_and_the_next_one_has() {
        let (mut ours, mut theirs, phase) = watched();
        theirs.write_all(b"x").await.unwrap();
        ours.read_exact(&mut [0; 1]).await.unwrap();
        phase.request_begins();
        let mut buffer = [0; 16];
        let waited = tokio::time::timeout(Duration::from_secs(1000), ours.read(&mut buffer));
        assert!(waited.await.is_err());
        phase.request_ends();
        assert_eq!(ours.read(&mut [0; 16]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (mut ours, _theirs, phase) = watched();
        phase.request_begins();
        let write = async { ours.write_all(&[0; 64]).await.map(|()| 64) };
        assert_eq!(seconds_until_timeout(write).await, 20);
    }
}
