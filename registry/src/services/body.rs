use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::FutureExt;
use futures_util::stream::{Stream, StreamExt};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::RegistryError;

/// How many bytes go to the hasher and to the store at a time. Large enough that handing them to
/// another thread costs nothing beside hashing them.
const BATCH: usize = 256 * 1024;

/// The permits of a batch, in the unit of the memory semaphore (KiB).
const BATCH_PERMITS: u32 = (BATCH / 1024) as u32;

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

/// A request body, read in batches.
pub(crate) struct BodyReader {
    frames: Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send + Sync>>,
    idle_limit: Duration,
    ended: Option<Result<(), BodyError>>,
}

/// Some bytes of a body, with the memory that they take.
pub(super) struct Batch<'a> {
    pub(super) chunks: Vec<Bytes>,
    pub(super) len: usize,
    _memory: SemaphorePermit<'a>,
}

/// What reading on gave.
pub(super) enum Next<'a> {
    Batch(Batch<'a>),
    End,
    Failed(BodyError),
}

impl BodyReader {
    pub(crate) fn new(
        frames: impl Stream<Item = Result<Bytes, String>> + Send + Sync + 'static,
        idle_limit: Duration,
    ) -> Self {
        Self { frames: Box::pin(frames), idle_limit, ended: None }
    }

    /// The body of a request that has none, or whose body does not matter.
    pub(crate) fn empty() -> Self {
        Self::new(futures_util::stream::empty(), Duration::ZERO)
    }

    /// Reads at most `limit` bytes and forgets them.
    pub(crate) async fn discard(&mut self, limit: u64) {
        let mut discarded = 0;
        while discarded < limit && self.ended.is_none() {
            match timeout(self.idle_limit, self.frames.next()).await {
                Ok(Some(Ok(chunk))) => discarded += chunk.len() as u64,
                _ => return,
            }
        }
    }

    /// Waits for bytes, then takes what has come already, up to a batch.
    ///
    /// Memory is asked for when the first bytes are there and never held while waiting for the
    /// network, so a client that trickles keeps nothing from the others.
    pub(super) async fn next<'a>(&mut self, memory: &'a Semaphore) -> Next<'a> {
        let first = loop {
            if let Some(ended) = self.ended.take() {
                return match ended {
                    Ok(()) => Next::End,
                    Err(error) => Next::Failed(error),
                };
            }
            match timeout(self.idle_limit, self.frames.next()).await {
                Ok(Some(Ok(chunk))) if chunk.is_empty() => {}
                Ok(Some(Ok(chunk))) => break chunk,
                Ok(Some(Err(reason))) => self.ended = Some(Err(BodyError::Broken(reason))),
                Ok(None) => self.ended = Some(Ok(())),
                Err(_) => self.ended = Some(Err(BodyError::Timeout)),
            }
        };
        let Ok(permit) = memory.acquire_many(BATCH_PERMITS).await else {
            return Next::Failed(BodyError::Broken("the registry is shutting down".to_owned()));
        };
        let mut batch = Batch { len: first.len(), chunks: vec![first], _memory: permit };
        while batch.len < BATCH {
            match self.frames.next().now_or_never() {
                Some(Some(Ok(chunk))) => {
                    batch.len += chunk.len();
                    batch.chunks.push(chunk);
                }
                Some(Some(Err(reason))) => {
                    self.ended = Some(Err(BodyError::Broken(reason)));
                    break;
                }
                Some(None) => {
                    self.ended = Some(Ok(()));
                    break;
                }
                None => break,
            }
        }
        Next::Batch(batch)
    }

    /// Adds what comes to a batch until it is full or the body ends. Can be given up at any time;
    /// what has come by then is in the batch.
    pub(super) async fn gather(&mut self, batch: &mut Batch<'_>) {
        while batch.len < BATCH && self.ended.is_none() {
            match self.frames.next().await {
                Some(Ok(chunk)) => {
                    batch.len += chunk.len();
                    batch.chunks.push(chunk);
                }
                Some(Err(reason)) => self.ended = Some(Err(BodyError::Broken(reason))),
                None => self.ended = Some(Ok(())),
            }
        }
    }

    /// Reads a whole body of at most `limit` bytes; `None` when it is longer.
    pub(crate) async fn collect(&mut self, limit: usize) -> Result<Option<Bytes>, BodyError> {
        let mut whole: Vec<u8> = Vec::new();
        loop {
            match timeout(self.idle_limit, self.frames.next()).await {
                Ok(Some(Ok(chunk))) if whole.len() + chunk.len() > limit => return Ok(None),
                Ok(Some(Ok(chunk))) => whole.extend_from_slice(&chunk),
                Ok(Some(Err(reason))) => return Err(BodyError::Broken(reason)),
                Ok(None) => return Ok(Some(whole.into())),
                Err(_) => return Err(BodyError::Timeout),
            }
        }
    }
}
