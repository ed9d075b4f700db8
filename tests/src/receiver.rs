//! A webhook: an HTTP server that takes events and answers as a test says.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::wait;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With this status, at once.
    Status(u16),
    /// Not, until another answer is set.
    Held,
}

/// A request that it was sent.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The path and query.
    pub target: String,
    /// The headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub envelope: Value,
    /// The status that it was answered with; `None` while it is held.
    pub answered: Option<u16>,
}

impl Notification {
    fn is_taken(&self) -> bool {
        self.answered.is_some_and(|status| (200..400).contains(&status))
    }
}

/// A webhook. Dropping it closes its port.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    answer: Answer,
    requests: Vec<Notification>,
    closed: bool,
}

impl Receiver {
    /// On a free port, answering 200.
    pub fn start() -> Result<Self> {
        Self::at((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// At this address, answering 200.
    pub fn at(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).context("cannot bind the webhook's port")?;
        let address = listener.local_addr()?;
        let state = State { answer: Answer::Status(200), requests: Vec::new(), closed: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let accepting = thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        });
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it answers from now on, those that it holds too.
    pub fn answer(&self, answer: Answer) {
        self.shared.lock().answer = answer;
        self.shared.changed.notify_all();
    }

    /// All that it was sent so far, in the order of their arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Notification> {
        self.shared.lock().requests.clone()
    }

    /// The events that it has taken so far, in the order of their arrival.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        let requests = self.requests();
        let taken = requests.iter().filter(|request| request.is_taken());
        taken.flat_map(|request| request.envelope["events"].as_array().cloned()).flatten().collect()
    }

    /// The events, once it has taken so many.
    pub fn wait_for(&self, count: usize) -> Result<Vec<Value>> {
        wait::until(&format!("{count} events are taken"), || Ok(self.events().len() >= count))
            .with_context(|| format!("taken were {:#?}", self.events()))?;
        Ok(self.events())
    }

    /// Returns once it was sent so many requests, whatever it answered.
    pub fn wait_for_requests(&self, count: usize) -> Result<()> {
        wait::until(&format!("{count} requests"), || Ok(self.requests().len() >= count))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        // Wakes whoever waits for the next connection.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        if shared.lock().closed {
            return;
        }
        let shared = shared.clone();
        // A client that goes away in the middle is no matter.
        thread::spawn(move || serve(stream, &shared).ok());
    }
}

/// Takes one request and closes the connection, so that a closed webhook leaves none open.
fn serve(stream: TcpStream, shared: &Shared) -> Result<()> {
    let (mut target, mut headers) = (String::new(), BTreeMap::new());
    let mut reader = BufReader::new(&stream);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line if target.is_empty() => {
                line.split(' ').nth(1).unwrap_or_default().clone_into(&mut target);
            }
            line => {
                let (name, value) = line.split_once(':').context("a header")?;
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
        }
    }
    let len = headers.get("content-length").context("a length")?.parse()?;
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    let envelope = serde_json::from_slice(&body)?;
    let mut state = shared.lock();
    let place = state.requests.len();
    state.requests.push(Notification { target, headers, envelope, answered: None });
    shared.changed.notify_all();
    let status = loop {
        match state.answer {
            _ if state.closed => return Ok(()),
            Answer::Status(status) => break status,
            Answer::Held => {
                state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    };
    let answer = format!("HTTP/1.1 {status} .\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    // Taken is what the client may come to know of; it may still not read the answer.
    state.requests[place].answered = Some(status);
    drop(state);
    (&stream).write_all(answer.as_bytes())?;
    Ok(())
}
