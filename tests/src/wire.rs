//! A client that puts on the wire exactly what a test says, and reads what comes back.
//!
//! Client libraries tidy up paths, lengths and connections; the tests of bad input need theirs untidied.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// A registry that says nothing for so long has hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request, headers and target as they stand.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    None,
    /// With a `Content-Length`, unless the test gives one itself.
    Whole(Vec<u8>),
    /// With `Transfer-Encoding: chunked`.
    Chunked(Vec<u8>),
}

impl Request {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: &str, target: impl Into<String>) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), body: Body::None }
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// A body of known length.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Whole(bytes.into());
        self
    }

    /// A body whose length the head does not tell.
    #[must_use]
    pub fn streamed(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Chunked(bytes.into());
        self
    }

    /// The same request by another method.
    #[must_use]
    pub fn as_method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// The same request with a query, which it must not have yet.
    #[must_use]
    pub fn with_query(mut self, query: &str) -> Self {
        self.target = format!("{}?{query}", self.target);
        self
    }

    /// Method and target, for people.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// The head as it goes over the wire.
    #[must_use]
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let mut add = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        let given =
            |name: &str| self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        if !given("host") {
            add("Host", "registry.test");
        }
        match &self.body {
            Body::Whole(bytes) if !given("content-length") => {
                add("Content-Length", &bytes.len().to_string());
            }
            Body::Chunked(_) => add("Transfer-Encoding", "chunked"),
            // Clients say so of a POST, PUT or PATCH without a body.
            Body::None if self.method.starts_with('P') && !given("content-length") => {
                add("Content-Length", "0");
            }
            _ => {}
        }
        for (name, value) in &self.headers {
            add(name, value);
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// The body as it goes over the wire.
    #[must_use]
    pub fn framed_body(&self) -> Vec<u8> {
        match &self.body {
            Body::None => Vec::new(),
            Body::Whole(bytes) => bytes.clone(),
            Body::Chunked(bytes) => {
                let mut framed = Vec::with_capacity(bytes.len() + bytes.len() / 100 + 16);
                for chunk in bytes.chunks(10_000) {
                    framed.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                    framed.extend_from_slice(chunk);
                    framed.extend_from_slice(b"\r\n");
                }
                framed.extend_from_slice(b"0\r\n\r\n");
                framed
            }
        }
    }
}

/// `GET`.
#[must_use]
pub fn get(target: impl Into<String>) -> Request {
    Request::new("GET", target)
}

/// `HEAD`.
#[must_use]
pub fn head(target: impl Into<String>) -> Request {
    Request::new("HEAD", target)
}

/// `POST`.
#[must_use]
pub fn post(target: impl Into<String>) -> Request {
    Request::new("POST", target)
}

/// `PUT`.
#[must_use]
pub fn put(target: impl Into<String>) -> Request {
    Request::new("PUT", target)
}

/// `PATCH`.
#[must_use]
pub fn patch(target: impl Into<String>) -> Request {
    Request::new("PATCH", target)
}

/// `DELETE`.
#[must_use]
pub fn delete(target: impl Into<String>) -> Request {
    Request::new("DELETE", target)
}

/// Sends one request over a connection of its own.
pub fn send(address: SocketAddr, request: &Request) -> Result<Answer> {
    Connection::open(address)?.send(request)
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Bytes that came behind the last answer.
    received: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Sends a request and reads its answer. A registry may answer before it has read the body, and close.
    pub fn send(&mut self, request: &Request) -> Result<Answer> {
        let sent = self.write(&request.head()).and_then(|()| self.write(&request.framed_body()));
        match sent {
            Err(error) if !is_disconnect(&error) => return Err(error.into()),
            _ => {}
        }
        self.answer(request.method == "HEAD").with_context(|| request.line())
    }

    /// Sends bytes, whatever they mean.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub fn finish_writing(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Reads one answer; that to a HEAD has no body, whatever its length says.
    pub fn answer(&mut self, to_head: bool) -> Result<Answer> {
        let head_end = loop {
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                break end + 4;
            }
            ensure!(
                self.read_some()? > 0,
                "the connection was closed after {} bytes of an answer: {:?}",
                self.received.len(),
                String::from_utf8_lossy(&self.received)
            );
        };
        let head: Vec<u8> = self.received.drain(..head_end).collect();
        let mut answer = Answer::parse(std::str::from_utf8(&head)?)?;
        if (100..200).contains(&answer.status) || matches!(answer.status, 204 | 304) || to_head {
            return Ok(answer);
        }
        ensure!(answer.find("transfer-encoding").is_none(), "an answer of unknown length");
        let length = answer.header("content-length")?.parse()?;
        while self.received.len() < length {
            let missing = length - self.received.len();
            ensure!(self.read_some()? > 0, "{missing} of {length} bytes of a body are missing");
        }
        answer.body = self.received.drain(..length).collect();
        Ok(answer)
    }

    /// Whether nothing comes for so long.
    pub fn is_silent_for(&mut self, time: Duration) -> Result<bool> {
        self.stream.set_read_timeout(Some(time))?;
        let read = self.read_some();
        self.stream.set_read_timeout(Some(PATIENCE))?;
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            other => other.map(|_| false).map_err(Into::into),
        }
    }

    /// Waits for the registry to close the connection, and gives what it sent before.
    pub fn until_closed(mut self) -> Result<Vec<u8>> {
        loop {
            match self.read_some() {
                Ok(0) => return Ok(self.received),
                Ok(_) => {}
                Err(error) if is_disconnect(&error) => return Ok(self.received),
                Err(error) => return Err(error).context("the connection was not closed"),
            }
        }
    }

    fn read_some(&mut self) -> io::Result<usize> {
        let mut buffer = vec![0; 64 * 1024];
        let len = self.stream.read(&mut buffer)?;
        self.received.extend_from_slice(&buffer[..len]);
        Ok(len)
    }
}

/// What the registry answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body, whole.
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(head: &str) -> Result<Self> {
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().context("an empty answer")?;
        let code = status.strip_prefix("HTTP/1.1 ").with_context(|| format!("{status:?}"))?;
        let status = code.get(..3).context("no status code")?.parse()?;
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').with_context(|| format!("{line:?}"))?;
                Ok((name.to_lowercase(), value.trim().to_owned()))
            })
            .collect::<Result<_>>()?;
        Ok(Self { status, headers, body: Vec::new() })
    }

    /// The answer itself, if its status is `status`.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "in place of {status}: {}", self.text());
        Ok(self)
    }

    /// Status and body, for a person; of a long body the beginning.
    #[must_use]
    pub fn text(&self) -> String {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(2000)]);
        format!("answered {}: {body}", self.status)
    }

    /// The message of an answer that must be an error in the specification's form: this status, JSON, and at least one
    /// entry, all with this code and a message that is a sentence.
    pub fn refusal(self, status: u16, code: &str) -> Result<String> {
        let answer = self.expect(status)?;
        ensure!(answer.header("content-type")? == "application/json", "an error must be JSON");
        let body = answer.json()?;
        let errors = body["errors"].as_array().context("no errors in the answer")?;
        ensure!(!errors.is_empty(), "an empty list of errors");
        for entry in errors {
            ensure!(entry["code"] == code, "the code is {} in place of {code}", entry["code"]);
            let message = entry["message"].as_str().unwrap_or_default();
            ensure!(message.split(' ').count() > 3, "{message:?} tells a person too little");
        }
        Ok(errors
            .iter()
            .filter_map(|entry| entry["message"].as_str())
            .collect::<Vec<_>>()
            .join("\n"))
    }

    /// The first header of that name, if there is one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Result<&str> {
        self.find(name).with_context(|| format!("no {name} in {:?}", self.headers))
    }

    /// Every header, its name in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Every header of that name, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Where to go on: the `Location`, which must be relative.
    pub fn location(&self) -> Result<String> {
        let location = self.header("location")?;
        ensure!(location.starts_with("/v2/"), "{location} is not relative to the host");
        Ok(location.to_owned())
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("no JSON: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// The path that `Link: <…>; rel="next"` leads to.
    pub fn next_page(&self) -> Result<Option<String>> {
        let Some(link) = self.find("link") else { return Ok(None) };
        match link.strip_prefix('<').and_then(|rest| rest.split_once(">; rel=\"next\"")) {
            Some((target, "")) => Ok(Some(target.to_owned())),
            _ => bail!("{link} is not a link to a next page"),
        }
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

fn is_disconnect(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
