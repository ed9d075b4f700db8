//! Buffers for the pieces of a body: each is used again once what was in it is sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::server::page_cache::read_cached;

/// How many buffers wait to be used again. One is read into while another is sent.
const KEPT: usize = 2;

/// The buffers of one body.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunks(Arc<Mutex<Vec<Vec<u8>>>>);

impl Chunks {
    /// Reads a part of a file.
    pub(super) fn read(&self, file: &File, start: u64, len: usize) -> io::Result<Bytes> {
        let mut chunk = self.take(len);
        file.read_exact_at(&mut chunk.buffer[..len], start)?;
        Ok(Bytes::from_owner(chunk))
    }

    /// Reads as much of a part of a file as is in memory; `None` where its beginning is not, or
    /// cannot be read.
    pub(super) fn read_cached(&self, file: &File, start: u64, len: usize) -> Option<Bytes> {
        let mut chunk = self.take(len);
        match read_cached(file, &mut chunk.buffer[..len], start) {
            Ok(0) | Err(_) => None,
            Ok(read) => {
                chunk.len = read;
                Some(Bytes::from_owner(chunk))
            }
        }
    }

    /// A buffer of at least `len` bytes, of which the first `len` are used.
    fn take(&self, len: usize) -> Chunk {
        let mut buffer = self.lock().pop().unwrap_or_default();
        if buffer.len() < len {
            buffer = vec![0; len];
        }
        Chunk { buffer, len, home: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer in use.
struct Chunk {
    buffer: Vec<u8>,
    len: usize,
    home: Chunks,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let mut kept = self.home.lock();
        if kept.len() < KEPT {
            kept.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file_of(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn a_buffer_is_used_again_once_its_bytes_are_gone() {
        let (file, chunks) = (file_of(b"0123456789"), Chunks::default());
        let first = chunks.read(&file, 0, 4).unwrap();
        let address = first.as_ptr();
        let second = chunks.read(&file, 4, 4).unwrap();
        assert_eq!((&first[..], &second[..]), (&b"0123"[..], &b"4567"[..]));
        drop(first);
        let third = chunks.read(&file, 8, 2).unwrap();
        assert_eq!((&third[..], third.as_ptr()), (&b"89"[..], address));
        assert_eq!(&second[..], b"4567");
    }

    #[test]
    fn what_was_just_written_is_read_from_memory_as_far_as_the_file_goes() {
        let (file, chunks) = (file_of(b"0123456789"), Chunks::default());
        assert_eq!(&chunks.read_cached(&file, 6, 100).unwrap()[..], b"6789");
        assert!(chunks.read_cached(&file, 10, 100).is_none());
        assert!(chunks.read(&file, 6, 100).is_err());
    }
}
