//! Maps of sparse files: which pieces of a file are in the archive, one after the other.

use std::io::BufRead;

use super::header::{BLOCK, number};
use super::pax::digits;
use super::{Archive, Fault};
use crate::layers::error::LayerError;

/// Pieces of one file.
const MOST_PIECES: usize = 1 << 20;

/// A file of which the archive does not have all bytes; the others are zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::layers) struct Sparse {
    /// Its size with the zeros.
    pub(in crate::layers) size: u64,
    /// What is not zeros, in order.
    pub(in crate::layers) pieces: Vec<Piece>,
}

/// A piece of a file that stands in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::layers) struct Piece {
    /// Where in the file.
    pub(in crate::layers) at: u64,
    /// Where in the archive.
    pub(in crate::layers) offset: u64,
    pub(in crate::layers) length: u64,
}

impl Sparse {
    /// Makes pieces of a map, which has offsets and lengths in turn. They stand in the archive at
    /// `offset`, and have `stored` bytes together.
    pub(super) fn new(map: &[u64], size: u64, offset: u64, stored: u64) -> Result<Self, Fault> {
        let bad = Fault::new("the map of a sparse file contradicts itself");
        let (pairs, []) = map.as_chunks::<2>() else { return Err(bad) };
        let mut pieces = Vec::with_capacity(pairs.len());
        let (mut end, mut read) = (0_u64, 0_u64);
        for &[at, length] in pairs {
            if at < end || length > stored - read {
                return Err(bad);
            }
            end = at.checked_add(length).filter(|&end| end <= size).ok_or(bad)?;
            if length > 0 {
                pieces.push(Piece { at, offset: offset + read, length });
            }
            read += length;
        }
        if read == stored { Ok(Self { size, pieces }) } else { Err(bad) }
    }
}

impl<R: BufRead> Archive<R> {
    /// The map of GNU tar's own format: its beginning is in the header, what is over in blocks after it.
    pub(super) fn gnu_map(&mut self, first: &[u8], more: bool) -> Result<Vec<u64>, LayerError> {
        let mut map = Vec::new();
        let mut ended = self.faulty(take_entries(&mut map, first))?;
        let mut more = more;
        while more {
            let block = self.block()?;
            if !ended {
                ended = self.faulty(take_entries(&mut map, &block[..504]))?;
            }
            more = block[504] != 0;
            self.faulty(few_enough(&map))?;
        }
        Ok(map)
    }

    /// The map of format 1.0, which is lines of digits before the file, up to a block's end: with the
    /// number of bytes that it has.
    pub(super) fn pax_map(&mut self, stored: u64) -> Result<(Vec<u64>, u64), LayerError> {
        let mut lines = Lines { archive: self, block: [0; BLOCK], at: BLOCK, read: 0, stored };
        let count = lines.next()?;
        let count = usize::try_from(count).ok().filter(|&count| count <= MOST_PIECES);
        let count = lines.archive.faulty(count.ok_or(TOO_MANY))?;
        let mut map = Vec::new();
        for _ in 0..count * 2 {
            map.push(lines.next()?);
        }
        Ok((map, lines.read))
    }
}

/// Adds the offsets and lengths in `entries`; whether the map ended there.
fn take_entries(map: &mut Vec<u64>, entries: &[u8]) -> Result<bool, Fault> {
    for entry in entries.as_chunks::<24>().0 {
        if entry[0] == 0 || entry[12] == 0 {
            return Ok(true);
        }
        for field in [&entry[..12], &entry[12..]] {
            let value = u64::try_from(number(field)?);
            map.push(value.map_err(|_| Fault::new("the map of a sparse file is negative"))?);
        }
    }
    Ok(false)
}

const TOO_MANY: Fault = Fault::new("a sparse file has too many pieces");

fn few_enough(map: &[u64]) -> Result<(), Fault> {
    if map.len() / 2 > MOST_PIECES { Err(TOO_MANY) } else { Ok(()) }
}

/// Numbers, each on a line, in blocks.
struct Lines<'archive, R> {
    archive: &'archive mut Archive<R>,
    block: [u8; BLOCK],
    at: usize,
    read: u64,
    stored: u64,
}

impl<R: BufRead> Lines<'_, R> {
    fn next(&mut self) -> Result<u64, LayerError> {
        let mut line = Vec::new();
        loop {
            if self.at == BLOCK {
                self.read += BLOCK as u64;
                if self.read > self.stored {
                    return self
                        .archive
                        .faulty(Err(Fault::new("the map of a sparse file has no end")));
                }
                self.block = self.archive.block()?;
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            match byte {
                b'\n' => return self.archive.faulty(digits(&line)),
                // No number is as long.
                _ if line.len() > 20 => {
                    return self
                        .archive
                        .faulty(Err(Fault::new("the map of a sparse file is none")));
                }
                _ => line.push(byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_each_other_and_have_all_that_is_stored() {
        let sparse = Sparse::new(&[0, 512, 4096, 100, 8192, 0], 8192, 1024, 612).unwrap();
        let pieces = [
            Piece { at: 0, offset: 1024, length: 512 },
            Piece { at: 4096, offset: 1536, length: 100 },
        ];
        assert_eq!(sparse, Sparse { size: 8192, pieces: pieces.to_vec() });
        let bad: [(&[u64], u64, u64); 6] = [
            (&[0, 512, 100, 100], 8192, 612),
            (&[0, 512], 8192, 511),
            (&[0, 512], 8192, 513),
            (&[0, 512], 511, 512),
            (&[u64::MAX, 1], u64::MAX, 1),
            (&[0], 10, 0),
        ];
        for (map, size, stored) in bad {
            assert!(Sparse::new(map, size, 0, stored).is_err(), "{map:?} {size} {stored}");
        }
    }
}
