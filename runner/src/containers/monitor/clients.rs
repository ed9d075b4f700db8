//! Whoever is attached to a container.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::containers::logs::Stream;
use crate::containers::wire::{Failure, Incoming, MOST, Order, Report, Wanted};

/// At most as many at a time; the next one is refused.
const MOST_CLIENTS: usize = 100;
/// With more than this waiting for somebody who does not read, the program has to wait.
const BACKLOG: usize = 256 * 1024;
/// How long somebody may read nothing, after the container has ended.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

pub(super) const ALL: Wanted = Wanted { input: true, output: true, errors: true };

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Clients {
    list: Vec<Client>,
    is_started: bool,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    incoming: Incoming,
    outgoing: Vec<u8>,
    wanted: Wanted,
    is_gone: bool,
}

/// What they want of the program.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Input(Vec<u8>),
    InputEnds,
    Resize { rows: u16, columns: u16 },
    Signal(i32),
}

impl Clients {
    /// Takes somebody in.
    pub(super) fn add(&mut self, stream: UnixStream, wanted: Wanted) -> io::Result<()> {
        if self.list.len() >= MOST_CLIENTS {
            return Err(io::Error::other("too many are attached"));
        }
        stream.set_nonblocking(true)?;
        let mut client = Client {
            stream,
            incoming: Incoming::default(),
            outgoing: Vec::new(),
            wanted,
            is_gone: false,
        };
        if self.is_started {
            client.say(&Report::Started);
        }
        self.list.push(client);
        Ok(())
    }

    /// Says that the program runs, and what people should know although it does.
    pub(super) fn started(&mut self, warnings: &[String]) {
        self.is_started = true;
        for warning in warnings {
            self.list.iter_mut().for_each(|client| client.say(&Report::Warning(warning.clone())));
        }
        self.list.iter_mut().for_each(|client| client.say(&Report::Started));
    }

    pub(super) fn failed(&mut self, failure: &Failure) {
        self.list.iter_mut().for_each(|client| client.say(&Report::Failed(failure.clone())));
    }

    /// Passes on what the program wrote.
    pub(super) fn show(&mut self, stream: Stream, bytes: &[u8]) {
        for client in &mut self.list {
            let is_wanted = match stream {
                Stream::Output => client.wanted.output,
                Stream::Errors => client.wanted.errors,
            };
            if is_wanted {
                bytes.chunks(MOST).for_each(|piece| client.say(&Report::Output(stream, piece)));
            }
        }
    }

    /// Whether somebody is so far behind that the program must wait.
    pub(super) fn are_behind(&self) -> bool {
        self.list.iter().any(|client| client.outgoing.len() > BACKLOG)
    }

    /// Adds what to wait for; with `listen` that is what they say, too.
    pub(super) fn poll<'fds>(&'fds self, fds: &mut Vec<PollFd<'fds>>, listen: bool) {
        for client in &self.list {
            let mut wanted = PollFlags::empty();
            wanted.set(PollFlags::IN, listen);
            wanted.set(PollFlags::OUT, !client.outgoing.is_empty());
            fds.push(PollFd::new(&client.stream, wanted));
        }
    }

    /// Hears and answers those that are ready, one flag for each in the order of [`Self::poll`].
    pub(super) fn serve(&mut self, ready: &[PollFlags]) -> Vec<Request> {
        let mut requests = Vec::new();
        for (client, ready) in self.list.iter_mut().zip(ready) {
            if ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                client.hear(&mut requests);
            }
            if ready.contains(PollFlags::OUT) {
                client.flush();
            }
        }
        self.list.retain(|client| !client.is_gone);
        requests
    }

    /// Says how it ended, and sees to it that all is read.
    pub(super) fn exited(mut self, code: u8) {
        self.list.iter_mut().for_each(|client| client.say(&Report::Exited(code)));
        self.drain();
    }

    /// Sends what is left to whoever reads it.
    pub(super) fn drain(&mut self) {
        loop {
            self.list.iter_mut().for_each(Client::flush);
            self.list.retain(|client| !client.is_gone && !client.outgoing.is_empty());
            if self.list.is_empty() {
                return;
            }
            let mut fds = Vec::new();
            self.poll(&mut fds, false);
            match poll(&mut fds, Some(&PATIENCE)) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }
}

impl Client {
    fn say(&mut self, report: &Report<'_>) {
        if !self.is_gone {
            report.write(&mut self.outgoing);
            self.flush();
        }
    }

    fn flush(&mut self) {
        while !self.outgoing.is_empty() {
            match self.stream.write(&self.outgoing) {
                Ok(length) => drop(self.outgoing.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.is_gone = true;
                    return;
                }
            }
        }
        // Nobody needs room for what was said once.
        self.outgoing = Vec::new();
    }

    fn hear(&mut self, requests: &mut Vec<Request>) {
        let mut bytes = [0; 8192];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.leave(requests),
            Ok(length) => {
                self.incoming.extend(&bytes[..length]);
                let wanted = &mut self.wanted;
                let heard = self.incoming.orders(|order| match order {
                    Order::Attach(what) => *wanted = what,
                    Order::Input(bytes) if wanted.input => {
                        requests.push(Request::Input(bytes.to_vec()))
                    }
                    Order::InputEnds if wanted.input => requests.push(Request::InputEnds),
                    Order::Input(_) | Order::InputEnds => {}
                    Order::Resize { rows, columns } => {
                        requests.push(Request::Resize { rows, columns })
                    }
                    Order::Signal(number) => requests.push(Request::Signal(number)),
                });
                if heard.is_err() {
                    self.leave(requests);
                }
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(_) => self.leave(requests),
        }
    }

    /// Whoever was to write the input and goes will write no more of it.
    fn leave(&mut self, requests: &mut Vec<Request>) {
        self.is_gone = true;
        if self.wanted.input {
            requests.push(Request::InputEnds);
        }
    }
}
