//! What the kernel has of a file in memory.

use std::fs::File;
use std::io;

/// The distance at which [`is_cached`] looks. Pages come from the disk in larger runs.
const PROBE_STEP: u64 = 256 * 1024;

/// Reads what is in memory of a part of a file, at most as much as fits.
///
/// # Errors
///
/// Where its beginning is not in memory, or the filesystem or the system cannot tell.
#[cfg(target_os = "linux")]
pub(crate) fn read_cached(file: &File, buffer: &mut [u8], start: u64) -> io::Result<usize> {
    use rustix::io::{ReadWriteFlags, preadv2};

    let slices = &mut [io::IoSliceMut::new(buffer)];
    Ok(preadv2(file, slices, start, ReadWriteFlags::NOWAIT)?)
}

/// The question is one of Linux.
#[cfg(not(target_os = "linux"))]
pub(crate) fn read_cached(_file: &File, _buffer: &mut [u8], _start: u64) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a part of a file is in the page cache, as far as looking at some of its pages tells.
/// A filesystem that cannot tell is taken to hold nothing.
pub(crate) fn is_cached(file: &File, start: u64, len: u64) -> bool {
    let mut probe = [0u8];
    let last = start + len - 1;
    let mut offset = start;
    loop {
        match read_cached(file, &mut probe, offset) {
            Ok(1) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return false,
        }
        if offset == last {
            return true;
        }
        offset = (offset + PROBE_STEP).min(last);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_was_just_written_is_cached() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 1_000_000]).unwrap();
        assert!(is_cached(&file, 10, 999_990));
        assert!(!is_cached(&file, 0, 1_000_001));
    }
}
