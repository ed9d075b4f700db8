//! How many bytes must be there before a socket wakes its reader (`SO_RCVLOWAT`, socket(7)).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use tokio::net::TcpStream;

/// Wakes the reader of a connection less often, for more bytes each time.
#[derive(Debug)]
pub(super) struct LowWater {
    socket: OwnedFd,
    mark: u32,
    most: u32,
}

impl LowWater {
    /// For a connection that wakes its reader for any byte, as all do at first.
    pub(super) fn new(stream: &TcpStream, most: u32) -> io::Result<Self> {
        Ok(Self { socket: stream.as_fd().try_clone_to_owned()?, mark: 1, most })
    }

    /// Sets the mark for a stream of which so much is to come: above that, nobody would ever be
    /// woken.
    pub(super) fn set_for(&mut self, remaining: u64) {
        let mark = u32::try_from(remaining).unwrap_or(u32::MAX).clamp(1, self.most);
        // Without the mark the reader is woken more often.
        if mark != self.mark && set(&self.socket, mark).is_ok() {
            self.mark = mark;
        }
    }
}

fn set(socket: &OwnedFd, bytes: u32) -> io::Result<()> {
    let value = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: the kernel reads one `c_int` at this address, which is that of a live local, from a
    // descriptor that is open as long as `socket` lives.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            std::ptr::from_ref(&value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_reader_is_woken_when_as_much_is_there_and_at_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (ours, _) = listener.accept().await.unwrap();
        let mut low_water = LowWater::new(&ours, 1000).unwrap();
        low_water.set_for(5000);
        // A new socket is tried before it is waited for.
        assert!(ours.try_read(&mut [0]).is_err());
        theirs.write_all(&[1; 999]).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(50), ours.readable()).await;
        assert!(early.is_err(), "woken for less than the mark");
        theirs.write_all(&[1; 1]).await.unwrap();
        ours.readable().await.unwrap();
        assert_eq!(ours.try_read(&mut [0; 2000]).unwrap(), 1000);
        // What is left of the stream is less than the mark.
        low_water.set_for(10);
        assert!(ours.try_read(&mut [0]).is_err());
        theirs.write_all(&[1; 10]).await.unwrap();
        ours.readable().await.unwrap();
    }
}
