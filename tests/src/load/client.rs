//! One connection to a registry that may die.

use std::net::SocketAddr;

use crate::wire::{Answer, Connection, Request};
use anyhow::{Context as _, Result};

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

    /// The answer, which must have this status.
    pub fn expect(&mut self, status: u16, request: &Request) -> Result<Answer> {
        let answer = self.send(request).and_then(|answer| answer.expect(status));
        answer.with_context(|| first_line(request))
    }
}

/// What a request was, for a person.
#[must_use]
pub fn first_line(request: &Request) -> String {
    let head = request.head();
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}
