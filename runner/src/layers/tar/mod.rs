//! Archives as tar programs write them: one entry after the other, with where its content stands.
//!
//! What Go's `archive/tar` takes, by which layers are made, is taken, and what it refuses is refused:
//! V7, ustar, star and GNU headers, pax records, GNU's long names, sparse files in all four ways.
//! Records for all entries (type `g`) are passed over, as every engine does.

mod header;
mod pax;
mod sparse;

use std::collections::BTreeMap;
use std::io::{self, BufRead};

pub(super) use header::BLOCK;
use header::Header;
use pax::Extended;
pub(super) use sparse::{Piece, Sparse};

use super::error::LayerError;
use super::limits::Limits;

/// Something in an archive that cannot be, wherever it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fault(&'static str);

impl Fault {
    const fn new(why: &'static str) -> Self {
        Self(why)
    }
}

/// Seconds since 1970, and nanoseconds after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Time {
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
}

/// One entry, as the archive has it: nothing about it has been looked at but its form.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) mode: i64,
    pub(super) uid: i64,
    pub(super) gid: i64,
    pub(super) mtime: Time,
    /// Extended attributes.
    pub(super) attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What an entry is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File(Content),
    Directory,
    /// One more name of the file at this path.
    HardLink(Vec<u8>),
    Symlink(Vec<u8>),
    CharacterDevice(i64, i64),
    BlockDevice(i64, i64),
    Fifo,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// In one piece, which begins with a block of the archive.
    Whole { offset: u64, size: u64 },
    /// In pieces.
    Sparse(Sparse),
}

/// An archive that is read once from its beginning to its end.
pub(super) struct Archive<R> {
    input: R,
    /// Bytes read so far.
    at: u64,
    /// Where the content of the last entry ends,
    end: u64,
    /// and the block in which it does, after which the next header is.
    next: u64,
    limits: Limits,
}

/// What stands before an entry and belongs to it.
#[derive(Default)]
struct Preamble {
    extended: Extended,
    long_path: Option<Vec<u8>>,
    long_link_target: Option<Vec<u8>>,
}

impl<R: BufRead> Archive<R> {
    pub(super) fn new(input: R, limits: Limits) -> Self {
        Self { input, at: 0, end: 0, next: 0, limits }
    }

    /// The next entry, or none at the archive's end.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, LayerError> {
        let mut preamble = Preamble::default();
        loop {
            let Some(block) = self.header()? else { return Ok(None) };
            let header = self.faulty(Header::new(&block))?;
            let size = self.faulty(header.size())?;
            let size = u64::try_from(size).map_err(|_| self.fault("a size is negative"))?;
            match header.type_flag() {
                b'x' => {
                    let records = self.text(size)?;
                    preamble.extended = self.faulty(Extended::parse(&records))?;
                }
                b'L' => preamble.long_path = Some(self.long_name(size)?),
                b'K' => preamble.long_link_target = Some(self.long_name(size)?),
                b'g' => self.content(size)?,
                _ => return self.entry(&header, size, preamble).map(Some),
            }
        }
    }

    /// Reads what is after the archive's end, and gives back what it was read from.
    pub(super) fn finish(mut self) -> Result<R, LayerError> {
        loop {
            let length = self.input.fill_buf()?.len();
            if length == 0 {
                return Ok(self.input);
            }
            self.input.consume(length);
        }
    }

    fn entry(
        &mut self,
        header: &Header<'_>,
        size: u64,
        preamble: Preamble,
    ) -> Result<Entry, LayerError> {
        let Preamble { mut extended, long_path, long_link_target } = preamble;
        let size = extended.size.unwrap_or(size);
        let path = extended.path.take().unwrap_or_else(|| header.path());
        let path = long_path.or(extended.sparse.name.take()).unwrap_or(path);
        let target = extended.link_target.take().unwrap_or_else(|| header.link_target());
        let target = long_link_target.unwrap_or(target);
        let flag = header.type_flag();
        let kind = match flag {
            // Before there was a type for folders.
            0 if path.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' => Kind::File(self.file(&extended.sparse, size)?),
            b'S' => Kind::File(self.gnu_sparse(header, size)?),
            b'1' => Kind::HardLink(target),
            b'2' => Kind::Symlink(target),
            b'3' | b'4' => {
                let (major, minor) = self.faulty(header.device())?;
                let device = if flag == b'3' { Kind::CharacterDevice } else { Kind::BlockDevice };
                device(major, minor)
            }
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => {
                let why = format!("its type is {:?}, which is not known", char::from(other));
                return Err(LayerError::entry(&path, why));
            }
        };
        let seconds = self.faulty(header.mtime())?;
        Ok(Entry {
            path,
            kind,
            mode: self.faulty(header.mode())?,
            uid: extended.uid.map_or_else(|| self.faulty(header.uid()), Ok)?,
            gid: extended.gid.map_or_else(|| self.faulty(header.gid()), Ok)?,
            mtime: extended.mtime.unwrap_or(Time { seconds, nanoseconds: 0 }),
            attributes: extended.attributes,
        })
    }

    /// The content of a file, which is sparse where its extended header says so.
    fn file(&mut self, sparse: &pax::Sparse, size: u64) -> Result<Content, LayerError> {
        let Some(real) = sparse.size.filter(|_| sparse.major.is_some() || !sparse.map.is_empty())
        else {
            let offset = self.at;
            self.content(size)?;
            return Ok(Content::Whole { offset, size });
        };
        self.content(size)?;
        let (map, read) = match sparse.major {
            Some(1) => self.pax_map(size)?,
            Some(2..) => return Err(self.fault("the map of a sparse file is of an unknown format")),
            _ => (sparse.map.clone(), 0),
        };
        let sparse = self.faulty(Sparse::new(&map, real, self.at, size - read))?;
        Ok(Content::Sparse(sparse))
    }

    fn gnu_sparse(&mut self, header: &Header<'_>, size: u64) -> Result<Content, LayerError> {
        let (real, first, more) = self.faulty(header.gnu_sparse())?;
        let real = u64::try_from(real).map_err(|_| self.fault("a size is negative"))?;
        let map = self.gnu_map(first, more)?;
        let sparse = self.faulty(Sparse::new(&map, real, self.at, size))?;
        self.content(size)?;
        Ok(Content::Sparse(sparse))
    }

    /// Leaves `size` bytes for the next header to skip.
    fn content(&mut self, size: u64) -> Result<(), LayerError> {
        let end = self.at.checked_add(size);
        let next = end.and_then(|end| end.checked_next_multiple_of(BLOCK as u64));
        let (Some(end), Some(next)) = (end, next) else {
            return Err(self.fault("a size is too large"));
        };
        (self.end, self.next) = (end, next);
        Ok(())
    }

    fn long_name(&mut self, size: u64) -> Result<Vec<u8>, LayerError> {
        let mut name = self.text(size)?;
        name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
        Ok(name)
    }

    /// The content of an entry that belongs to the next one.
    fn text(&mut self, size: u64) -> Result<Vec<u8>, LayerError> {
        if size > self.limits.extended_header {
            let what = "bytes in an extended header or a long name";
            return Err(LayerError::limit(what, self.limits.extended_header));
        }
        self.content(size)?;
        let mut text = vec![0; size as usize];
        if self.fill(&mut text)? < text.len() {
            return Err(self.fault("it ends in the middle of an entry"));
        }
        Ok(text)
    }

    /// The next header's block, or none at the archive's end: two blocks of zeros, or no more bytes.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, LayerError> {
        if !self.skip()? {
            return Ok(None);
        }
        let mut block = [0; BLOCK];
        for zeros in 0.. {
            match self.fill(&mut block)? {
                0 => return Ok(None),
                BLOCK => {}
                _ => return Err(self.fault("it ends in the middle of a header")),
            }
            (self.end, self.next) = (self.at, self.at);
            match (block == [0; BLOCK], zeros) {
                (false, 0) => break,
                (false, _) => return Err(self.fault("there is something after a block of zeros")),
                (true, 0) => {}
                (true, _) => return Ok(None),
            }
        }
        Ok(Some(block))
    }

    /// Goes to where the next header is. What fills up the last block may be missing: then there is
    /// none.
    fn skip(&mut self) -> Result<bool, LayerError> {
        while self.at < self.next {
            let available = self.input.fill_buf()?.len();
            let left = self.next - self.at;
            if available == 0 {
                return match self.at < self.end {
                    true => Err(self.fault("it ends in the middle of a file")),
                    false => Ok(false),
                };
            }
            let length = available.min(usize::try_from(left).unwrap_or(usize::MAX));
            self.input.consume(length);
            self.at += length as u64;
        }
        Ok(true)
    }

    fn block(&mut self) -> Result<[u8; BLOCK], LayerError> {
        let mut block = [0; BLOCK];
        if self.fill(&mut block)? < BLOCK {
            return Err(self.fault("it ends in the middle of an entry"));
        }
        Ok(block)
    }

    /// Reads as many bytes as `buffer` has, or as there are.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, LayerError> {
        let mut length = 0;
        while length < buffer.len() {
            match self.input.read(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.at += length as u64;
        Ok(length)
    }

    fn fault(&self, why: &'static str) -> LayerError {
        LayerError::archive(self.at, why)
    }

    fn faulty<T>(&self, result: Result<T, Fault>) -> Result<T, LayerError> {
        result.map_err(|fault| self.fault(fault.0))
    }
}
