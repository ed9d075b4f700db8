//! Bodies of blobs that are on their way: each follows the file at its own pace.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use berth_mirror::{Arrival, Arriving};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http_body::{Body, Frame, SizeHint};

use super::chunks::Chunks;

/// How much is read at a time. Many may follow the same blob, each with buffers of this size.
const READ_CHUNK: u64 = 64 * 1024;

/// The bytes of a blob that is on its way, or a range of them.
///
/// The body ends early, as an error, when the blob does not come to its end or is not what its digest
/// says: its last byte is not sent before that is known.
pub(super) struct ArrivingBody {
    bytes: BoxStream<'static, io::Result<Bytes>>,
    /// How many are left, where that is known.
    remaining: Option<u64>,
}

impl ArrivingBody {
    /// A range of a blob of known size.
    pub(super) fn range(arriving: Arriving, range: Range<u64>) -> Self {
        let remaining = Some(range.end - range.start);
        Self { bytes: follow(arriving, range.start, Some(range.end)), remaining }
    }

    /// All of a blob whose size nobody has said.
    pub(super) fn whole(arriving: Arriving) -> Self {
        Self { bytes: follow(arriving, 0, None), remaining: None }
    }
}

fn follow(
    arriving: Arriving,
    start: u64,
    end: Option<u64>,
) -> BoxStream<'static, io::Result<Bytes>> {
    let follower = Follower { arriving, at: start, end, chunks: Chunks::default() };
    stream::try_unfold(follower, |mut follower| async move {
        Ok(follower.next().await?.map(|bytes| (bytes, follower)))
    })
    .boxed()
}

/// A reader of a blob that is on its way.
struct Follower {
    arriving: Arriving,
    /// The place of the next byte.
    at: u64,
    /// Where it ends; where the blob does when it is not known.
    end: Option<u64>,
    chunks: Chunks,
}

impl Follower {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.end == Some(self.at) {
            return Ok(None);
        }
        loop {
            let progress = self.arriving.progress.borrow_and_update().clone();
            let readable = progress.readable(self.arriving.size);
            let readable = self.end.map_or(readable, |end| readable.min(end));
            if readable > self.at {
                return self.read(readable - self.at).await.map(Some);
            }
            match progress.state {
                Arrival::Failed(error) => return Err(io::Error::other(error)),
                // More was announced than there is.
                Arrival::Verified if self.end.is_some() => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Arrival::Verified => return Ok(None),
                Arrival::Coming => {}
            }
            if self.arriving.progress.changed().await.is_err() {
                return Err(io::Error::other("the fetch of the blob ended early"));
            }
        }
    }

    async fn read(&mut self, available: u64) -> io::Result<Bytes> {
        // It fits: a chunk is small.
        let len = available.min(READ_CHUNK) as usize;
        let (file, at) = (self.arriving.file.clone(), self.at);
        let bytes = match self.chunks.read_cached(&file, at, len) {
            Some(bytes) => bytes,
            None => {
                let chunks = self.chunks.clone();
                let read = tokio::task::spawn_blocking(move || chunks.read(&file, at, len));
                read.await.map_err(io::Error::other)??
            }
        };
        self.at += bytes.len() as u64;
        Ok(bytes)
    }
}

impl Body for ArrivingBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = std::task::ready!(self.bytes.poll_next_unpin(cx));
        if let (Some(Ok(bytes)), Some(remaining)) = (&next, &mut self.remaining) {
            *remaining -= bytes.len() as u64;
        }
        Poll::Ready(next.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
