//! Contents of files, from the archive to where they are wanted.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use rustix::fs::copy_file_range;
use rustix::io::Errno;

use super::tar::Piece;

/// Copies a piece to its place in `file`. The kernel does it, which may take no more than a note that
/// the blocks are shared.
pub(super) fn copy_piece(archive: &File, piece: Piece, file: &File) -> io::Result<()> {
    let (mut from, mut to, mut left) = (piece.offset, piece.at, piece.length);
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        match copy_file_range(archive, Some(&mut from), file, Some(&mut to), most) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => left -= length as u64,
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                return copy_by_hand(archive, Piece { at: to, offset: from, length: left }, file);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn copy_by_hand(archive: &File, piece: Piece, file: &File) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut done = 0;
    while done < piece.length {
        let left = usize::try_from(piece.length - done).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        archive.read_exact_at(&mut buffer[..length], piece.offset + done)?;
        file.write_all_at(&buffer[..length], piece.at + done)?;
        done += length as u64;
    }
    Ok(())
}
