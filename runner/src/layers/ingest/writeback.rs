//! Has the kernel write to disk early what has to be there at the end.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd as _;

/// What is written at a time.
pub(super) const STEP: u64 = 8 << 20;

/// Begins to write `length` bytes of `file` from `offset` on to disk, and waits for nothing. That it
/// cannot is no error: the sync at the end says so.
pub(super) fn begin(file: &File, offset: u64, length: u64) {
    let (Ok(offset), Ok(length)) = (offset.try_into(), length.try_into()) else { return };
    // SAFETY: the descriptor is open as long as `file` is, and no memory of ours is given.
    unsafe {
        libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};

    use super::*;

    #[test]
    fn what_is_written_early_is_what_was_written() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"written").unwrap();
        begin(&file, 0, 7);
        begin(&file, 100, u64::MAX);
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "written");
    }
}
