//! A load balancer that sends every request to whichever replica chance picks.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, ensure};
use axum::body::Body;
use http::header::{CONNECTION, HeaderMap, HeaderName};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::host::{Host, text};

/// What concerns one connection only, and not the one on the other side.
const OF_THE_CONNECTION: [HeaderName; 2] = [CONNECTION, HeaderName::from_static("keep-alive")];

/// A balancer before several replicas of a service, over HTTP/1.1.
///
/// A request that cannot be sent because nobody listens goes to another replica, and is answered with 502 if none is
/// there. One that breaks off later breaks off for the client too: nobody knows what became of it. Heads and bodies
/// pass as they are, `Host` included.
#[derive(Debug)]
pub struct Balancer {
    host: Host,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    replicas: Vec<Replica>,
    random: AtomicU64,
}

#[derive(Debug)]
struct Replica {
    address: SocketAddr,
    connections: Mutex<Vec<SendRequest<Incoming>>>,
    requests: AtomicU64,
}

impl Balancer {
    /// Starts a balancer whose choices are the same for the same seed and order of requests.
    ///
    /// # Errors
    ///
    /// No port is free, or there is no replica.
    pub fn start(replicas: &[SocketAddr], seed: u64) -> Result<Self> {
        ensure!(!replicas.is_empty(), "a balancer needs a replica");
        let replicas = replicas.iter().map(|address| Replica::at(*address)).collect();
        let state = Arc::new(State { replicas, random: AtomicU64::new(seed) });
        let serving = Arc::clone(&state);
        let host = Host::start(move |listener| serve(listener, serving))?;
        Ok(Self { host, state })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.host.address()
    }

    /// How many requests each replica was sent.
    pub fn requests(&self) -> Vec<u64> {
        let replicas = self.state.replicas.iter();
        replicas.map(|replica| replica.requests.load(Ordering::Relaxed)).collect()
    }
}

impl Replica {
    fn at(address: SocketAddr) -> Self {
        Self { address, connections: Mutex::default(), requests: AtomicU64::new(0) }
    }

    /// A connection that waits for a request, or a new one.
    async fn connection(&self) -> Option<SendRequest<Incoming>> {
        if let Some(idle) = self.idle_connection() {
            return Some(idle);
        }
        let stream = TcpStream::connect(self.address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        Some(sender)
    }

    fn idle_connection(&self) -> Option<SendRequest<Incoming>> {
        let mut connections = self.connections();
        connections.retain(|connection| !connection.is_closed());
        let idle = connections.iter().position(SendRequest::is_ready)?;
        Some(connections.swap_remove(idle))
    }

    fn connections(&self) -> MutexGuard<'_, Vec<SendRequest<Incoming>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// All replicas, beginning with any of them.
    fn replicas(&self) -> impl Iterator<Item = &Replica> {
        let first = self.random() as usize % self.replicas.len();
        self.replicas[first..].iter().chain(&self.replicas[..first])
    }

    /// The next number of a small generator (splitmix64).
    fn random(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut number = self.random.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        number ^ (number >> 31)
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        let service = service_fn(move |request| {
            let state = Arc::clone(&state);
            async move { pass(&state, request).await }
        });
        let connection = hyper::server::conn::http1::Builder::new();
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
    }
}

/// Lets a request through. An error closes the client's connection.
async fn pass(state: &State, mut request: Request<Incoming>) -> io::Result<Response<Body>> {
    strip(request.headers_mut());
    for replica in state.replicas() {
        let Some(mut connection) = replica.connection().await else { continue };
        replica.requests.fetch_add(1, Ordering::Relaxed);
        let answer = connection.send_request(request).await.map_err(io::Error::other)?;
        // It takes the next request when this answer has been read to its end.
        replica.connections().push(connection);
        let mut answer = answer.map(Body::new);
        strip(answer.headers_mut());
        return Ok(answer);
    }
    Ok(text(StatusCode::BAD_GATEWAY, "no replica answers\n"))
}

fn strip(headers: &mut HeaderMap) {
    for name in OF_THE_CONNECTION {
        headers.remove(name);
    }
}
