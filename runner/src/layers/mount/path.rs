//! Paths as settings of a file system, which may have 255 bytes.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};

/// What the kernel takes as a setting.
const MOST: usize = 255;

/// A path as text. Where it is too long, or no text, it goes by a descriptor, which is open as long as
/// this is.
pub(super) struct PathText {
    text: String,
    _held: Option<OwnedFd>,
}

impl PathText {
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        if let Some(text) = path.to_str().filter(|text| text.len() <= MOST) {
            return Ok(Self { text: text.to_owned(), _held: None });
        }
        let held = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { text: format!("/proc/self/fd/{}", held.as_raw_fd()), _held: Some(held) })
    }
}

impl fmt::Display for PathText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
