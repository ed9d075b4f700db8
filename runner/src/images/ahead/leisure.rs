//! Reading that ends when somebody else wants what it is for.

use std::io::{self, Read};

/// Looks before each read whether it is still at leisure.
pub(super) struct Leisure<R, W> {
    inner: R,
    is_wanted: W,
    is_over: bool,
}

impl<R, W: Fn() -> bool> Leisure<R, W> {
    pub(super) fn new(inner: R, is_wanted: W) -> Self {
        Self { inner, is_wanted, is_over: false }
    }

    /// Whether reading has ended because of that.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}

impl<R: Read, W: Fn() -> bool> Read for Leisure<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.is_wanted)() {
            self.is_over = true;
            return Err(io::Error::other("somebody waits for it"));
        }
        self.inner.read(buffer)
    }
}
