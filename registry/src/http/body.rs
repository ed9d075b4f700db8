//! Bodies of blobs: what to send is decided by the handler, how by the connection.

use std::collections::VecDeque;
use std::fs::File;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use berth_storage_backends::{BlobContent, RemoteBlob, StoreError};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::chunks::Chunks;
use crate::server::page_cache::is_cached;
use crate::server::sendfile::{FileRegion, SendfileConnection};

/// How much is read at a time where the kernel cannot send the file itself. The size that moves
/// the most bytes for the least work.
const READ_CHUNK: u64 = 256 * 1024;

/// How much of a file is handed to the kernel at a time, after a look whether it is in memory.
const WINDOW: u64 = 4 << 20;

/// Up to this size a file is read and sent in one piece with the head; handing it to the kernel
/// would cost more.
const SMALL: u64 = 32 * 1024;

/// The bytes of a blob, or parts of them, as a response body.
///
/// Over a connection where the kernel can copy from file to socket, frames are regions of the file
/// that no user code reads. Elsewhere they are read in chunks: at once what is in memory, the rest
/// away from the threads that serve.
pub struct BlobBody {
    content: BlobContent,
    segments: VecDeque<Segment>,
    remaining: u64,
    sendfile: Option<SendfileConnection>,
    region: Option<FileRegion>,
    chunks: Chunks,
    pending: Option<JoinHandle<io::Result<Option<Bytes>>>>,
    /// The rest of the range that is on its way from a store on other machines.
    remote: Option<RemoteStream>,
}

type RemoteStream = BoxStream<'static, Result<Bytes, StoreError>>;

#[derive(Debug)]
enum Segment {
    /// The head of a part, or the end of all.
    Text(Bytes),
    /// A range of the content.
    Content(Range<u64>),
}

impl BlobBody {
    /// One range of the content.
    pub(crate) fn range(
        content: BlobContent,
        range: Range<u64>,
        sendfile: Option<SendfileConnection>,
    ) -> Self {
        let remaining = range.end - range.start;
        let segments = VecDeque::from([Segment::Content(range)]);
        Self::new(content, segments, remaining, sendfile)
    }

    /// Several ranges, each with its head.
    pub(crate) fn multipart(
        content: BlobContent,
        multipart: Multipart,
        sendfile: Option<SendfileConnection>,
    ) -> Self {
        let remaining = multipart.len();
        Self::new(content, multipart.segments, remaining, sendfile)
    }

    fn new(
        content: BlobContent,
        segments: VecDeque<Segment>,
        remaining: u64,
        sendfile: Option<SendfileConnection>,
    ) -> Self {
        let (region, pending, remote, chunks) = (None, None, None, Chunks::default());
        Self { content, segments, remaining, sendfile, region, chunks, pending, remote }
    }

    /// Waits for the first bytes of content that is in a store on other machines, so that a store
    /// that does not give them is told by the status of the answer.
    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        let BlobContent::Remote(blob) = &self.content else { return Ok(()) };
        let first = self.segments.iter().find_map(|segment| match segment {
            Segment::Content(range) if !range.is_empty() => Some(range.clone()),
            _ => None,
        });
        let Some(range) = first else { return Ok(()) };
        let mut stream = blob.read(range);
        let first = stream.next().await.transpose()?;
        self.remote = Some(stream::iter(first.map(Ok)).chain(stream).boxed());
        Ok(())
    }

    /// The next bytes of a range of the file, and how many of it they are.
    fn poll_file(
        &mut self,
        cx: &mut Context<'_>,
        file: &Arc<File>,
        range: Range<u64>,
    ) -> Poll<io::Result<Bytes>> {
        let len = range.end - range.start;
        if let Some(pending) = &mut self.pending {
            let joined = std::task::ready!(Pin::new(pending).poll(cx));
            self.pending = None;
            match joined.map_err(io::Error::other)?? {
                Some(bytes) => return Poll::Ready(Ok(bytes)),
                // The window is in memory now.
                None => return Poll::Ready(self.region_bytes(file, range.start, len.min(WINDOW))),
            }
        }
        if len > SMALL && self.sendfile.is_some() {
            let window = len.min(WINDOW);
            if is_cached(file, range.start, window) {
                return Poll::Ready(self.region_bytes(file, range.start, window));
            }
            let file = file.clone();
            self.pending = Some(tokio::task::spawn_blocking(move || {
                read_into_cache(&file, range.start, window).map(|()| None)
            }));
        } else {
            // It fits: a chunk is small.
            let chunk = len.min(READ_CHUNK) as usize;
            if let Some(bytes) = self.chunks.read_cached(file, range.start, chunk) {
                return Poll::Ready(Ok(bytes));
            }
            let (file, chunks) = (file.clone(), self.chunks.clone());
            self.pending = Some(tokio::task::spawn_blocking(move || {
                chunks.read(&file, range.start, chunk).map(Some)
            }));
        }
        self.poll_file(cx, file, range)
    }

    /// The next bytes of a range of a blob in a store on other machines.
    fn poll_remote(
        &mut self,
        cx: &mut Context<'_>,
        blob: &Arc<dyn RemoteBlob>,
        range: Range<u64>,
    ) -> Poll<io::Result<Bytes>> {
        let stream = self.remote.get_or_insert_with(|| blob.read(range.clone()));
        let bytes = match std::task::ready!(stream.poll_next_unpin(cx)) {
            Some(bytes) => bytes.map_err(io::Error::other)?,
            None => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
        };
        if bytes.len() as u64 == range.end - range.start {
            self.remote = None;
        }
        Poll::Ready(Ok(bytes))
    }

    fn region_bytes(&mut self, file: &Arc<File>, start: u64, len: u64) -> io::Result<Bytes> {
        let region = match (&self.region, &self.sendfile) {
            (Some(region), _) => region,
            (None, Some(connection)) => {
                let size = file.metadata()?.len();
                self.region.insert(connection.register(file.clone(), size)?)
            }
            (None, None) => return Err(io::Error::other("no connection to send a file over")),
        };
        region.bytes(start, len)
    }
}

impl Body for BlobBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        let range = match this.segments.front_mut() {
            None => return Poll::Ready(None),
            Some(Segment::Text(text)) => {
                let text = std::mem::take(text);
                this.segments.pop_front();
                this.remaining -= text.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(text))));
            }
            Some(Segment::Content(range)) if range.is_empty() => {
                this.segments.pop_front();
                return self.poll_frame(cx);
            }
            Some(Segment::Content(range)) => range.clone(),
        };
        let bytes = match this.content.clone() {
            // The content fits in memory, so its offsets fit in `usize`.
            BlobContent::Memory(bytes) => bytes.slice(range.start as usize..range.end as usize),
            BlobContent::File(file) => std::task::ready!(this.poll_file(cx, &file, range.clone()))?,
            BlobContent::Remote(blob) => {
                std::task::ready!(this.poll_remote(cx, &blob, range.clone()))?
            }
            // A blob can be read.
            BlobContent::Unreadable => {
                return Poll::Ready(Some(Err(io::ErrorKind::Unsupported.into())));
            }
        };
        let sent = bytes.len() as u64;
        if sent == range.end - range.start {
            this.segments.pop_front();
        } else if let Some(Segment::Content(rest)) = this.segments.front_mut() {
            rest.start += sent;
        }
        this.remaining -= sent;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

/// Waits until a part of a file is in the page cache.
fn read_into_cache(file: &File, start: u64, len: u64) -> io::Result<()> {
    let mut scratch = vec![0; READ_CHUNK.min(len) as usize];
    let mut offset = 0;
    while offset < len {
        let step = (len - offset).min(scratch.len() as u64);
        file.read_exact_at(&mut scratch[..step as usize], start + offset)?;
        offset += step;
    }
    Ok(())
}

/// The framing of several ranges in one body (RFC 9110 section 14.6).
#[derive(Debug)]
pub(crate) struct Multipart {
    boundary: String,
    segments: VecDeque<Segment>,
    len: u64,
}

impl Multipart {
    pub(crate) fn new(boundary: &str, size: u64, parts: &[Range<u64>]) -> Self {
        let mut segments = VecDeque::with_capacity(parts.len() * 2 + 1);
        let mut len = 0;
        for part in parts {
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {}-{}/{size}\r\n\r\n",
                part.start,
                part.end - 1,
            );
            len += head.len() as u64 + (part.end - part.start);
            segments.push_back(Segment::Text(head.into()));
            segments.push_back(Segment::Content(part.clone()));
        }
        let end = format!("\r\n--{boundary}--\r\n");
        len += end.len() as u64;
        segments.push_back(Segment::Text(end.into()));
        Self { boundary: boundary.to_owned(), segments, len }
    }

    pub(crate) fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }
}
