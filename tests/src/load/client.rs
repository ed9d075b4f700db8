//! One connection to a registry that may die.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::wire::{Answer, Connection, Request};
use anyhow::{Context as _, Result};

/// How long another replica may hold an upload session after it died or lost its database.
const HELD: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(100);

/// Keeps its connection from one request to the next.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    connection: Option<Connection>,
}

impl Client {
    /// A client of the registry at an address, which it does not connect to yet.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// The answer; an error when there was none.
    pub fn send(&mut self, request: &Request) -> Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address)?,
        };
        let answer = connection.send(request)?;
        if answer.find("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    /// The answer; while the registry says that somebody else holds the session it is asked again, for a while.
    pub fn send_when_free(&mut self, request: &Request) -> Result<Answer> {
        let start = Instant::now();
        loop {
            let answer = self.send(request).with_context(|| first_line(request))?;
            if answer.status != 409 || start.elapsed() > HELD {
                return Ok(answer);
            }
            sleep(POLL);
        }
    }

    /// The answer when the session is free, which must have this status.
    pub fn expect(&mut self, status: u16, request: &Request) -> Result<Answer> {
        self.send_when_free(request)?.expect(status).with_context(|| first_line(request))
    }
}

/// What a request was, for a person.
#[must_use]
pub fn first_line(request: &Request) -> String {
    let head = request.head();
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}
