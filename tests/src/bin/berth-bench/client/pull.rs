//! Pulling the same blob over many connections, without looking at it.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv, send};

use super::head::{Head, request};

/// The most that one call takes off a socket.
const GULP: usize = 4 << 20;
const HEAD_LIMIT: usize = 4096;
/// No server may stay silent for longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// When to stop, in the middle of whatever is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// Once all connections together have this many bytes.
    Bytes(u64),
    /// At this time.
    Time(Instant),
}

/// What came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulled {
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    /// What the connection with the least has.
    pub(crate) least: u64,
}

/// Pulls `path` on each connection, again and again, until the limit.
///
/// The kernel drops the bytes (`MSG_TRUNC`) instead of copying them to this process, so that the client takes as
/// little of the processor as it can.
pub(crate) fn pull(
    address: SocketAddr,
    path: &str,
    connections: usize,
    limit: Limit,
) -> Result<Pulled> {
    let request = request(address, "GET", path, &[]).into_bytes();
    let mut pulls = Vec::with_capacity(connections);
    for _ in 0..connections {
        pulls.push(Pull::open(address)?);
    }
    let start = Instant::now();
    for pull in &mut pulls {
        pull.ask(&request)?;
    }
    take_all(&mut pulls, limit, start, Some(&request))
}

/// Pulls `path`, which has `size` bytes, once on each connection, all at the same time.
pub(crate) fn pull_once(
    address: SocketAddr,
    path: &str,
    connections: usize,
    size: u64,
) -> Result<Pulled> {
    let request = request(address, "GET", path, &[]).into_bytes();
    let mut pulls = Vec::with_capacity(connections);
    for _ in 0..connections {
        pulls.push(Pull::open(address)?);
    }
    let start = Instant::now();
    for pull in &mut pulls {
        pull.ask(&request)?;
    }
    take_all(&mut pulls, Limit::Bytes(connections as u64 * size), start, None)
}

/// Takes what comes on all connections, and asks again on those that have come to the end, until the limit.
pub(super) fn take_all(
    pulls: &mut [Pull],
    limit: Limit,
    start: Instant,
    request: Option<&[u8]>,
) -> Result<Pulled> {
    // The kernel never writes to it; it only says how much is wanted.
    let mut gulp = vec![0; GULP];
    let mut bytes = 0;
    while !limit.is_reached(bytes) {
        for index in readable(pulls)? {
            bytes += pulls[index].proceed(&mut gulp)?;
            if let Some(request) = request
                && pulls[index].is_at_end()
                && !limit.is_reached(bytes)
            {
                pulls[index].ask(request)?;
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let least = pulls.iter().map(|pull| pull.bytes).min().unwrap_or(0);
    Ok(Pulled { bytes, seconds, least })
}

impl Limit {
    fn is_reached(self, bytes: u64) -> bool {
        match self {
            Self::Bytes(limit) => bytes >= limit,
            Self::Time(end) => Instant::now() >= end,
        }
    }
}

pub(super) struct Pull {
    stream: TcpStream,
    state: State,
    bytes: u64,
}

enum State {
    Head(Vec<u8>),
    Body { left: u64 },
}

impl Pull {
    fn open(address: SocketAddr) -> Result<Self> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, state: State::Head(Vec::new()), bytes: 0 })
    }

    /// A connection that was asked already, in words that are not understood here.
    pub(super) fn uncounted(stream: TcpStream) -> Self {
        Self { stream, state: State::Body { left: u64::MAX }, bytes: 0 }
    }

    fn ask(&mut self, request: &[u8]) -> Result<()> {
        // It is small, and nothing else is on its way.
        let sent = send(&self.stream, request, rustix::net::SendFlags::NOSIGNAL)?;
        ensure!(sent == request.len(), "the request did not fit the socket");
        self.state = State::Head(Vec::new());
        Ok(())
    }

    /// Takes what has come and gives the number of bytes of the blob in it.
    fn proceed(&mut self, gulp: &mut [u8]) -> Result<u64> {
        let came = match &mut self.state {
            State::Head(head) => match read_head(&self.stream, head)? {
                Some((left, came)) => {
                    self.state = State::Body { left };
                    came
                }
                None => 0,
            },
            State::Body { left } => {
                let want = usize::try_from(*left).unwrap_or(GULP).min(GULP);
                receive(&self.stream, &mut gulp[..want], RecvFlags::TRUNC)? as u64
            }
        };
        self.bytes += came;
        if let State::Body { left } = &mut self.state {
            *left -= came;
        }
        Ok(came)
    }

    fn is_at_end(&self) -> bool {
        matches!(self.state, State::Body { left: 0 })
    }
}

/// Once the head is whole: the length of the body, and how much of it came along.
fn read_head(stream: &TcpStream, head: &mut Vec<u8>) -> Result<Option<(u64, u64)>> {
    let mut buffer = [0; HEAD_LIMIT];
    let len = receive(stream, &mut buffer, RecvFlags::empty())?;
    head.extend_from_slice(&buffer[..len]);
    let Some((parsed, head_len)) = Head::parse(head)? else { return Ok(None) };
    ensure!(parsed.status == 200, "the answer to a pull is {}", parsed.status);
    let (len, came) = (parsed.body_len()?, (head.len() - head_len) as u64);
    ensure!(len > came, "the answer to a pull has {len} bytes");
    Ok(Some((len, came)))
}

fn receive(stream: &TcpStream, buffer: &mut [u8], flags: RecvFlags) -> Result<usize> {
    match recv(stream, buffer, flags | RecvFlags::DONTWAIT) {
        Ok((_, 0)) => bail!("the server closed the connection"),
        Ok((_, len)) => Ok(len),
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Waits until something has come, and tells on which connections.
fn readable(pulls: &[Pull]) -> Result<Vec<usize>> {
    let mut wanted: Vec<PollFd<'_>> =
        pulls.iter().map(|pull| PollFd::new(&pull.stream, PollFlags::IN)).collect();
    let patience = Timespec::try_from(PATIENCE)?;
    let ready = loop {
        match poll(&mut wanted, Some(&patience)) {
            Err(Errno::INTR) => {}
            ready => break ready?,
        }
    };
    ensure!(ready > 0, "the server sent nothing for {PATIENCE:?}");
    let ready = wanted.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty());
    Ok(ready.map(|(index, _)| index).collect())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn bytes_are_counted_over_connections_and_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    while stream.read(&mut [0; 1024]).is_ok_and(|len| len > 0) {
                        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
                        if stream.write_all(head).is_err() {
                            return;
                        }
                        let _ = stream.write_all(&[7; 100_000]);
                    }
                });
            }
        });
        let pulled = pull(address, "/blob", 3, Limit::Bytes(1_000_000)).unwrap();
        assert!((1_000_000..1_400_000).contains(&pulled.bytes), "{pulled:?}");
        assert!(pulled.least <= pulled.bytes / 3);
    }
}
