//! One plain request at a time, for what a server needs before it can be used.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

const TIMEOUT: Duration = Duration::from_secs(30);

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The answer if it is a success, or else an error with all of it.
    pub(crate) fn success(self) -> Result<Self> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        bail!("the server refused: {}\n{}", self.head, String::from_utf8_lossy(&self.body));
    }
}

/// Whether anything that speaks HTTP answers there.
pub(crate) fn answers(server: SocketAddr, path: &str) -> bool {
    answers_as(server, path, |answer| answer.status < 500)
}

/// Whether the server answers there that answers so, and not another one that was given the port first: then the
/// one that is waited for ends.
pub(crate) fn answers_as(
    server: SocketAddr,
    path: &str,
    is_it: impl FnOnce(&Answer) -> bool,
) -> bool {
    send(server, "GET", path, &[], b"").is_ok_and(|answer| is_it(&answer))
}

/// Sends a request in HTTP/1.0, whose answer ends with the connection.
pub(crate) fn send(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer> {
    send_over(connect(server)?, server, method, path, headers, body)
}

pub(crate) fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// Sends a request over a connection to the server, which may be an encrypted one.
pub(crate) fn send_over(
    mut stream: impl io::Read + io::Write,
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer> {
    let mut request = format!("{method} {path} HTTP/1.0\r\nhost: {server}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(request.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if !is_end(error.kind()) => Err(error.into()),
        _ => parse(&answer),
    }
}

/// Whether a connection ended, if without a word.
fn is_end(kind: io::ErrorKind) -> bool {
    [io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof].contains(&kind)
}

fn parse(answer: &[u8]) -> Result<Answer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.context("the answer has no head")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("not an answer in HTTP: {head}"))?;
    Ok(Answer { status, head, body: answer[end + 4..].to_vec() })
}
