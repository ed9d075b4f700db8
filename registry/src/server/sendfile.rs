//! Sending files over plain TCP without copying them through user space.
//!
//! hyper takes bodies as bytes in memory only. So a body hands it a *region*: the file's pages
//! mapped read-only, which nobody reads. When hyper writes the region to the socket, the
//! [`SendfileStream`] under it knows the addresses and has the kernel copy from file to socket
//! instead. Were anything to read the region all the same, it would read the right bytes.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// The most that one call hands to the kernel, so that one fast reader does not hold a thread. Larger pieces cost
/// more by the byte: what waits in the socket is out of the processor's caches when it is read.
const SEND_LIMIT: usize = 1 << 20;

/// The regions that are on their way over one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct SendfileConnection {
    regions: Arc<Mutex<Vec<Registered>>>,
}

#[derive(Clone, Debug)]
struct Registered {
    /// The first address of the mapping.
    base: usize,
    len: usize,
    file: Arc<File>,
}

impl SendfileConnection {
    /// Maps a file of `len` bytes, more than none, for this connection.
    pub(crate) fn register(&self, file: Arc<File>, len: u64) -> io::Result<FileRegion> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        // SAFETY: a new mapping at an address that the kernel chooses touches nobody's memory.
        let base = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ,
                MapFlags::SHARED | MapFlags::NORESERVE,
                &*file,
                0,
            )?
        };
        let base = NonNull::new(base.cast::<u8>()).ok_or_else(|| io::Error::other("null map"))?;
        let registered = Registered { base: base.as_ptr() as usize, len, file };
        self.lock().push(registered);
        let mapping = Mapping { base, len, connection: self.clone() };
        Ok(FileRegion { bytes: Bytes::from_owner(mapping) })
    }

    /// The file and the place in it of the memory that begins at `address`.
    fn find(&self, address: usize) -> Option<(Arc<File>, u64)> {
        let regions = self.lock();
        let region = regions.iter().find(|r| (r.base..r.base + r.len).contains(&address))?;
        Some((region.file.clone(), (address - region.base) as u64))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Registered>> {
        self.regions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file mapped for a connection.
#[derive(Clone, Debug)]
pub(crate) struct FileRegion {
    bytes: Bytes,
}

impl FileRegion {
    /// The bytes of a part of the file, which [`SendfileStream`] recognises.
    pub(crate) fn bytes(&self, start: u64, len: u64) -> io::Result<Bytes> {
        let end = start.checked_add(len).filter(|end| *end <= self.bytes.len() as u64);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        // Both fit: the mapping has at least that many bytes.
        Ok(self.bytes.slice(start as usize..end as usize))
    }
}

/// The mapping itself; unmapped when the last slice of it is gone.
struct Mapping {
    base: NonNull<u8>,
    len: usize,
    connection: SendfileConnection,
}

// SAFETY: the mapping is read-only memory that belongs to no thread.
unsafe impl Send for Mapping {}
// SAFETY: as above; nothing in it changes.
unsafe impl Sync for Mapping {}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the mapping has `len` readable bytes and lives as long as `self`. Blobs are
        // never written in place: a file is renamed into its place when it is whole, and is
        // replaced or unlinked as a whole, which leaves this mapping's file as it is.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let base = self.base.as_ptr();
        self.connection.lock().retain(|region| region.base != base as usize);
        // SAFETY: the mapping was made by `register` with this address and length, and no slice
        // of it is left.
        let _ = unsafe { rustix::mm::munmap(base.cast(), self.len) };
    }
}

/// A TCP stream that has the kernel send what lies in a region of its connection.
#[derive(Debug)]
pub(super) struct SendfileStream {
    stream: TcpStream,
    connection: SendfileConnection,
}

/// A connection over which files can be sent, and how.
pub(super) fn over(stream: TcpStream) -> (SendfileStream, Option<SendfileConnection>) {
    let connection = SendfileConnection::default();
    (SendfileStream { stream, connection: connection.clone() }, Some(connection))
}

impl SendfileStream {
    /// Sends what stands before a region, and then the region, as far as the socket takes it.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        head: &[IoSlice<'_>],
        content: &[u8],
        (file, mut offset): (Arc<File>, u64),
    ) -> Poll<io::Result<usize>> {
        let head_len: usize = head.iter().map(|slice| slice.len()).sum();
        let mut sent = 0;
        if head_len > 0 {
            // More follows at once, so the head shares its packet with the content.
            sent = ready!(self.poll_io(cx, || send_more(&self.stream, head)))?;
            if sent < head_len {
                return Poll::Ready(Ok(sent));
            }
        }
        let content = &content[..content.len().min(SEND_LIMIT)];
        match self.poll_io(cx, || {
            match rustix::fs::sendfile(&self.stream, &*file, Some(&mut offset), content.len()) {
                // A filesystem that cannot do this; the mapping has the same bytes.
                Err(Errno::INVAL | Errno::NOSYS) => self.stream.try_write(content),
                sent => Ok(sent?),
            }
        }) {
            // The file is shorter than it was when it was mapped.
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(Ok(content)) => Poll::Ready(Ok(sent + content)),
            Poll::Ready(Err(error)) if sent == 0 => Poll::Ready(Err(error)),
            // The head went; the next call meets the error, or waits, again.
            _ if sent > 0 => Poll::Ready(Ok(sent)),
            other => other,
        }
    }

    fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        mut io: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_io(Interest::WRITABLE, &mut io) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

fn send_more(stream: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut control = rustix::net::SendAncillaryBuffer::default();
    let flags = rustix::net::SendFlags::MORE | rustix::net::SendFlags::NOSIGNAL;
    Ok(rustix::net::sendmsg(stream, slices, &mut control, flags)?)
}

impl AsyncWrite for SendfileStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.connection.find(bytes.as_ptr() as usize) {
            Some(place) => self.poll_send(cx, &[], bytes, place),
            None => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        for (index, slice) in slices.iter().enumerate() {
            if slice.is_empty() {
                continue;
            }
            if let Some(place) = self.connection.find(slice.as_ptr() as usize) {
                return self.poll_send(cx, &slices[..index], slice, place);
            }
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl AsyncRead for SendfileStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn connected() -> (SendfileStream, SendfileConnection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (ours, _) = listener.accept().await.unwrap();
        let (ours, connection) = over(ours);
        (ours, connection.unwrap(), theirs)
    }

    fn file_of(bytes: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Arc::new(file)
    }

    #[tokio::test]
    async fn regions_and_plain_bytes_arrive_in_order() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        let (mut ours, connection, mut theirs) = connected().await;
        let region = connection.register(file_of(&bytes), bytes.len() as u64).unwrap();
        let parts = [region.bytes(1_000, 2_000_000).unwrap(), region.bytes(5, 7).unwrap()];
        let expected =
            [b"head".as_slice(), &bytes[1_000..2_001_000], b"middle", &bytes[5..12], b"end"]
                .concat();
        let send = async move {
            let slices: [&[u8]; 5] = [b"head", &parts[0], b"middle", &parts[1], b"end"];
            let mut slices = slices.map(IoSlice::new);
            let mut rest = &mut slices[..];
            while !rest.is_empty() {
                let written = ours.write_vectored(rest).await.unwrap();
                IoSlice::advance_slices(&mut rest, written);
            }
            ours.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let (_, read) = tokio::join!(send, theirs.read_to_end(&mut received));
        read.unwrap();
        assert!(received == expected);
    }

    #[tokio::test]
    async fn a_region_can_be_read_and_ends_with_its_last_slice() {
        let (_ours, connection, _theirs) = connected().await;
        let region = connection.register(file_of(b"hello"), 5).unwrap();
        let slice = region.bytes(1, 3).unwrap();
        assert!(region.bytes(3, 3).is_err());
        drop(region);
        assert_eq!(&slice[..], b"ell");
        assert!(connection.find(slice.as_ptr() as usize).is_some());
        drop(slice);
        assert!(connection.lock().is_empty());
    }

    #[tokio::test]
    async fn a_file_that_was_cut_is_an_error_and_not_short_content() {
        let (mut ours, connection, _theirs) = connected().await;
        let file = file_of(&[7; 100_000]);
        let region = connection.register(file.clone(), 100_000).unwrap();
        file.set_len(10).unwrap();
        let result = ours.write_all(&region.bytes(0, 100_000).unwrap()).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
