use std::io::{IoSlice, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::head::{Head, request};

/// No server may stay silent for longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection that is asked one thing after the other.
#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    received: Vec<u8>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// An error, with what the server said, when the status is another.
    pub(crate) fn expect(self, status: u16) -> Result<Self> {
        ensure!(
            self.head.status == status,
            "{} instead of {status}: {}",
            self.head.status,
            String::from_utf8_lossy(&self.body)
        );
        Ok(self)
    }
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { address, stream, received: Vec::new() })
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<Response> {
        self.exchange("GET", path, &[], &[])
    }

    /// Sends a request with a body and waits for the answer.
    pub(crate) fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response> {
        let length = body.len().to_string();
        let mut all = headers.to_vec();
        all.push(("Content-Length", &length));
        self.send_head(method, path, &all)?;
        self.send(body)?;
        let answer = match method {
            "HEAD" => self.head(),
            _ => self.response(),
        };
        answer.with_context(|| format!("{method} {path}"))
    }

    pub(crate) fn send_head(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<()> {
        self.send(request(self.address, method, path, headers).as_bytes())
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Sends all slices, with as few system calls as the kernel allows.
    pub(crate) fn send_slices(&mut self, mut slices: &mut [IoSlice<'_>]) -> Result<()> {
        while !slices.is_empty() {
            let sent = self.stream.write_vectored(slices)?;
            IoSlice::advance_slices(&mut slices, sent);
        }
        Ok(())
    }

    pub(crate) fn response(&mut self) -> Result<Response> {
        let answer = self.head()?;
        let len = usize::try_from(answer.head.body_len()?)?;
        while self.received.len() < len {
            self.receive()?;
        }
        Ok(Response { body: self.received.drain(..len).collect(), ..answer })
    }

    /// An answer without its body, which one to HEAD does not have, whatever its length says.
    fn head(&mut self) -> Result<Response> {
        let (head, head_len) = loop {
            match Head::parse(&self.received)? {
                Some(parsed) => break parsed,
                None => self.receive()?,
            }
        };
        self.received.drain(..head_len);
        Ok(Response { head, body: Vec::new() })
    }

    fn receive(&mut self) -> Result<()> {
        let mut buffer = [0; 16 * 1024];
        let len = self.stream.read(&mut buffer)?;
        ensure!(len > 0, "the server closed the connection");
        self.received.extend_from_slice(&buffer[..len]);
        Ok(())
    }
}
