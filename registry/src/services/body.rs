//! The way of a request body from its connection to the handler.
//!
//! The handler runs in a task of its own, so that it ends what a client began. The body is read
//! where its connection is, by the [`BodyPump`], and handed over in batches: a wake-up of another
//! thread costs the same however little it brings.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::RegistryError;

/// How many bytes are handed over at a time.
const BATCH: usize = 512 * 1024;

/// The permits of a batch, in the unit of the memory semaphore (KiB).
const BATCH_PERMITS: u32 = (BATCH / 1024) as u32;

/// How long a batch waits for the network to fill it. A body that ends does not wait.
const LINGER: Duration = Duration::from_millis(2);

/// How many batches may wait for the handler: one, and word of the end behind it.
const WAITING: usize = 2;

/// Why a request body did not come to its end.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// Nothing came within the time limit.
    Timeout,
    /// The connection broke, or the framing was wrong.
    Broken(String),
}

impl From<BodyError> for RegistryError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Timeout => Self::BodyTimeout,
            BodyError::Broken(reason) => Self::BodyBroken(reason),
        }
    }
}

/// Some bytes of a body, with the memory that they take.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) chunks: Vec<Bytes>,
    pub(super) len: usize,
    _memory: OwnedSemaphorePermit,
}

/// What reading on gave.
#[derive(Debug)]
pub(super) enum Next {
    Batch(Batch),
    End,
    Failed(BodyError),
}

/// The frames of a request body, or why there are no more.
type Frames = Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>>;

/// Both ends of the way of a body. Its bytes are counted against `memory`, whose unit is KiB.
///
/// The pump begins at once, unless the client `awaits_continue` (`Expect: 100-continue`): the
/// first read tells it to send its body, which is for the reader to decide.
pub(crate) fn body(
    frames: impl Stream<Item = Result<Bytes, String>> + Send + 'static,
    awaits_continue: bool,
    idle_limit: Duration,
    memory: Arc<Semaphore>,
) -> (BodyPump, BodyReader) {
    let (batches, received) = mpsc::channel(WAITING);
    let (want, wanted) = oneshot::channel();
    let frames = Box::pin(frames);
    let pump = BodyPump { frames, idle_limit, memory, wanted, batches, ended: None };
    let mut reader = BodyReader { want: Some(want), received };
    if !awaits_continue {
        reader.ask();
    }
    (pump, reader)
}

/// The end of a body's way that reads from the connection.
pub(crate) struct BodyPump {
    frames: Frames,
    idle_limit: Duration,
    memory: Arc<Semaphore>,
    wanted: oneshot::Receiver<()>,
    batches: mpsc::Sender<Next>,
    ended: Option<Result<(), BodyError>>,
}

impl BodyPump {
    /// Moves the body to its reader, from the moment that the reader asks for it.
    pub(crate) async fn run(mut self) {
        if (&mut self.wanted).await.is_err() {
            return;
        }
        loop {
            let next = self.next().await;
            let is_last = !matches!(next, Next::Batch(_));
            if self.batches.send(next).await.is_err() || is_last {
                return;
            }
        }
    }

    /// Waits for bytes, then gathers what else comes at once, up to a batch.
    ///
    /// Memory is asked for when the first bytes are there and not held while waiting for a slow
    /// network, so a client that trickles keeps nothing from the others.
    async fn next(&mut self) -> Next {
        let first = loop {
            if let Some(ended) = self.ended.take() {
                return match ended {
                    Ok(()) => Next::End,
                    Err(error) => Next::Failed(error),
                };
            }
            match timeout(self.idle_limit, self.frames.next()).await {
                Ok(frame) => match self.sort(frame) {
                    Some(chunk) if chunk.is_empty() => {}
                    Some(chunk) => break chunk,
                    None => {}
                },
                Err(_) => self.ended = Some(Err(BodyError::Timeout)),
            }
        };
        let Ok(memory) = self.memory.clone().acquire_many_owned(BATCH_PERMITS).await else {
            return Next::Failed(BodyError::Broken("the registry is shutting down".to_owned()));
        };
        let mut batch = Batch { len: first.len(), chunks: vec![first], _memory: memory };
        let linger = sleep(LINGER);
        tokio::pin!(linger);
        while batch.len < BATCH && self.ended.is_none() {
            let frame = tokio::select! {
                biased;
                frame = self.frames.next() => frame,
                () = &mut linger => break,
            };
            if let Some(chunk) = self.sort(frame) {
                batch.len += chunk.len();
                batch.chunks.push(chunk);
            }
        }
        Next::Batch(batch)
    }

    /// Tells bytes from the end.
    fn sort(&mut self, frame: Option<Result<Bytes, String>>) -> Option<Bytes> {
        match frame {
            Some(Ok(chunk)) => return Some(chunk),
            Some(Err(reason)) => self.ended = Some(Err(BodyError::Broken(reason))),
            None => self.ended = Some(Ok(())),
        }
        None
    }
}

/// The end of a body's way that the handler reads from.
#[derive(Debug)]
pub(crate) struct BodyReader {
    want: Option<oneshot::Sender<()>>,
    received: mpsc::Receiver<Next>,
}

impl BodyReader {
    /// The body of a request that has none, or whose body does not matter.
    pub(crate) fn empty() -> Self {
        let (batches, received) = mpsc::channel(1);
        // There is room for one.
        let _ = batches.try_send(Next::End);
        Self { want: None, received }
    }

    fn ask(&mut self) {
        if let Some(want) = self.want.take() {
            // A pump that is gone is met by whoever reads.
            let _ = want.send(());
        }
    }

    /// Waits for the next bytes.
    pub(super) async fn next(&mut self) -> Next {
        self.ask();
        let gone = || Next::Failed(BodyError::Broken("the connection was closed".to_owned()));
        self.received.recv().await.unwrap_or_else(gone)
    }

    /// Reads at most `limit` bytes and forgets them.
    pub(crate) async fn discard(&mut self, limit: u64) {
        let mut discarded = 0;
        while discarded < limit
            && let Next::Batch(batch) = self.next().await
        {
            discarded += batch.len as u64;
        }
    }

    /// Reads a whole body of at most `limit` bytes; `None` when it is longer.
    pub(crate) async fn collect(&mut self, limit: usize) -> Result<Option<Bytes>, BodyError> {
        let mut whole: Vec<u8> = Vec::new();
        loop {
            match self.next().await {
                Next::Batch(batch) if whole.len() + batch.len > limit => return Ok(None),
                Next::Batch(batch) => {
                    batch.chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
                }
                Next::Failed(error) => return Err(error),
                Next::End => return Ok(Some(whole.into())),
            }
        }
    }
}
