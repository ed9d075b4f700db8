//! What comes to a published port of TCP by the loopback of IPv6.
//!
//! The kernel sends on what comes by any other address, and never meets the sockets by which ports are taken
//! (`reserve`). What comes from `::1` it cannot: it drops what would come back. So those sockets listen, and whoever
//! has them passes bytes on, to the container's address of IPv4 where it has one: a service that listens on 0.0.0.0
//! alone is reached, too.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write};
use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, accept_with, connect, getsockname, ipproto,
    listen, shutdown, socket_with, sockopt,
};

use super::{Endpoint, Protocol};

/// Connections at a time. Others wait to be accepted.
const MOST: usize = 256;
/// Connections that wait.
const BACKLOG: i32 = 128;
/// How often a connection is read from until others have their turn: whoever takes all there is holds up nothing else.
const TURN: usize = 16;
/// How long what a program has said last may take after its end.
const LINGER: Duration = Duration::from_millis(500);

/// The ports of one container.
#[derive(Debug, Default)]
pub struct Relay {
    listeners: Vec<Listener>,
    links: Vec<Link>,
}

#[derive(Debug)]
struct Listener {
    socket: OwnedFd,
    target: SocketAddr,
}

impl Relay {
    /// That of an endpoint. It listens where it can; other ports are as they were.
    #[must_use]
    pub fn new(endpoint: &Endpoint) -> Self {
        let listeners = endpoint.reservations.iter().filter_map(|socket| {
            let target = target(endpoint, socket)?;
            let socket = socket.try_clone().ok()?;
            let ready =
                rustix::io::ioctl_fionbio(&socket, true).and_then(|()| listen(&socket, BACKLOG));
            ready.ok().map(|()| Listener { socket, target })
        });
        Self { listeners: listeners.collect(), links: Vec::new() }
    }

    /// Adds what to wait for.
    pub fn poll<'fds>(&'fds self, fds: &mut Vec<PollFd<'fds>>) {
        if self.has_room() {
            fds.extend(self.listeners.iter().map(|it| PollFd::new(&it.socket, PollFlags::IN)));
        }
        for link in &self.links {
            fds.extend(link.wanted().map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
        }
    }

    /// Passes on what there is, by what [`Self::poll`] has added.
    pub fn serve(&mut self, ready: &[PollFlags]) {
        let listening = if self.has_room() { self.listeners.len() } else { 0 };
        let (called, mut moved) = ready.split_at(listening.min(ready.len()));
        self.links.retain_mut(|link| {
            let (own, rest) = moved.split_at(link.wanted().count().min(moved.len()));
            moved = rest;
            own.iter().all(|flags| flags.is_empty())
                || link.go_on().unwrap_or_else(|_| link.reset())
        });
        for (listener, flags) in self.listeners.iter().zip(called) {
            // One at a time: there may be no room for another.
            if !flags.is_empty() && self.links.len() < MOST {
                self.links.extend(Link::accept(listener).ok());
            }
        }
    }

    /// Passes on what was said before the program ended.
    pub fn finish(mut self) {
        self.listeners.clear();
        let deadline = Instant::now() + LINGER;
        while !self.links.is_empty() && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            let mut fds = Vec::new();
            self.poll(&mut fds);
            if !matches!(poll(&mut fds, Some(&left)), Ok(1..)) {
                break;
            }
            let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
            drop(fds);
            self.serve(&ready);
        }
    }

    fn has_room(&self) -> bool {
        self.links.len() < MOST
    }
}

/// Where what comes to a socket goes. `None` where the kernel sees to all that comes.
fn target(endpoint: &Endpoint, socket: &OwnedFd) -> Option<SocketAddr> {
    if sockopt::socket_protocol(socket).ok()? != Some(ipproto::TCP) {
        return None;
    }
    let SocketAddr::V6(own) = SocketAddr::try_from(getsockname(socket).ok()?).ok()? else {
        return None;
    };
    if !own.ip().is_unspecified() && !own.ip().is_loopback() {
        return None;
    }
    let settings = &endpoint.settings;
    let port = settings.ports.iter().find(|port| {
        let container = port.container;
        container.protocol == Protocol::Tcp
            && port.host_ip == IpAddr::V6(*own.ip())
            && port.host_port == own.port()
    })?;
    let address = settings.addresses().next()?;
    Some(SocketAddr::new(address, port.container.number))
}

/// A connection to the host, and the one to the container.
#[derive(Debug)]
struct Link {
    caller: OwnedFd,
    program: OwnedFd,
    is_connected: bool,
    there: Flow,
    back: Flow,
}

/// One direction.
#[derive(Debug, Default)]
struct Flow {
    /// What was read and could not be written yet.
    rest: Vec<u8>,
    /// Whether there will be nothing more to read.
    is_over: bool,
    /// Whether the reader was told that.
    is_told: bool,
}

impl Link {
    fn accept(listener: &Listener) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let caller = accept_with(&listener.socket, flags)?;
        let family = match listener.target {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let program = socket_with(family, SocketType::STREAM, flags, None)?;
        for socket in [&caller, &program] {
            sockopt::set_tcp_nodelay(socket, true)?;
        }
        match connect(&program, &listener.target) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let (there, back) = Default::default();
        Ok(Self { caller, program, is_connected: false, there, back })
    }

    /// What to wait for at either end, where there is anything.
    fn wanted(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let ends = if self.is_connected {
            [
                (self.caller.as_fd(), self.there.reads() | self.back.writes()),
                (self.program.as_fd(), self.back.reads() | self.there.writes()),
            ]
        } else {
            [(self.caller.as_fd(), PollFlags::empty()), (self.program.as_fd(), PollFlags::OUT)]
        };
        // An end of which nothing is wanted would be told of without end once it is gone.
        ends.into_iter().filter(|(_, flags)| !flags.is_empty())
    }

    /// Breaks off at both ends what was broken off at one. `false`, as there is nothing more to come.
    fn reset(&self) -> bool {
        for socket in [&self.caller, &self.program] {
            // Else it ends as if all had been said.
            let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
        }
        false
    }

    /// Moves what can be moved. `false` when there is nothing more to come.
    fn go_on(&mut self) -> io::Result<bool> {
        if !self.is_connected {
            sockopt::socket_error(&self.program)??;
            self.is_connected = true;
        }
        self.there.go_on(&self.caller, &self.program)?;
        self.back.go_on(&self.program, &self.caller)?;
        Ok(!(self.there.is_told && self.back.is_told))
    }
}

impl Flow {
    fn reads(&self) -> PollFlags {
        if self.rest.is_empty() && !self.is_over { PollFlags::IN } else { PollFlags::empty() }
    }

    fn writes(&self) -> PollFlags {
        if self.rest.is_empty() { PollFlags::empty() } else { PollFlags::OUT }
    }

    fn go_on(&mut self, from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
        let written = write_some(to, &self.rest)?;
        self.rest.drain(..written);
        let mut bytes = [0; 16 * 1024];
        for _ in 0..TURN {
            if self.is_over || !self.rest.is_empty() {
                break;
            }
            match read(from, &mut bytes) {
                Ok(0) => self.is_over = true,
                Ok(length) => {
                    let written = write_some(to, &bytes[..length])?;
                    self.rest.extend_from_slice(&bytes[written..length]);
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.is_over && self.rest.is_empty() && !self.is_told {
            self.is_told = true;
            shutdown(to, Shutdown::Write)?;
        }
        Ok(())
    }
}

/// Writes what there is room for.
fn write_some(to: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    loop {
        match write(to, bytes) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(0),
            other => return Ok(other?),
        }
    }
}
