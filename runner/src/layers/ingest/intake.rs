//! The archive's side of the pass: what is read of it has been hashed and written.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{Receiver, SyncSender};

use berth_oci::{Digest, Hasher};

use super::{Chunk, writeback};
use crate::layers::error::{Doing as _, LayerError};

/// Reads chunks as they come.
pub(super) struct Intake<'file> {
    chunks: Receiver<Chunk>,
    used: SyncSender<Vec<u8>>,
    file: &'file File,
    hasher: Hasher,
    /// What is read at the moment, and how much of it is.
    chunk: Vec<u8>,
    at: usize,
    /// Bytes of all chunks so far,
    received: u64,
    /// and how many of them are on their way to the disk.
    on_way: u64,
}

impl<'file> Intake<'file> {
    pub(super) fn new(
        chunks: Receiver<Chunk>,
        used: SyncSender<Vec<u8>>,
        file: &'file File,
        expected: Digest,
    ) -> Self {
        let hasher = Hasher::new(expected.algorithm());
        Self { chunks, used, file, hasher, chunk: Vec::new(), at: 0, received: 0, on_way: 0 }
    }

    /// The digest of all that was received, which is on disk then.
    pub(super) fn finish(self) -> Result<Digest, LayerError> {
        // The last bytes may be zeros that were not written.
        self.file.set_len(self.received).doing(|| "write the layer")?;
        self.file.sync_all().doing(|| "write the layer")?;
        Ok(self.hasher.finish())
    }

    fn next(&mut self) -> Result<(), LayerError> {
        let chunk = match self.chunks.recv() {
            Ok(chunk) => chunk?,
            // The other thread has sent all.
            Err(_) => Vec::new(),
        };
        self.hasher.update(&chunk);
        self.write(&chunk).doing(|| "write the layer")?;
        self.received += chunk.len() as u64;
        self.write_back();
        self.at = 0;
        let used = std::mem::replace(&mut self.chunk, chunk);
        let _ = self.used.try_send(used);
        Ok(())
    }

    fn write_back(&mut self) {
        let waiting = self.received - self.on_way;
        if waiting >= writeback::STEP {
            writeback::begin(self.file, self.on_way, waiting);
            self.on_way = self.received;
        }
    }

    /// Zeros are left out: a file system has them for nothing.
    fn write(&self, chunk: &[u8]) -> io::Result<()> {
        match chunk.iter().all(|&byte| byte == 0) {
            true => Ok(()),
            false => self.file.write_all_at(chunk, self.received),
        }
    }
}

impl BufRead for Intake<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.chunk.len() {
            self.next()?;
        }
        Ok(&self.chunk[self.at..])
    }

    fn consume(&mut self, length: usize) {
        self.at += length;
    }
}

impl Read for Intake<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}
