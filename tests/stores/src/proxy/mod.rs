//! A proxy that stands before a store, counts, and goes wrong on demand.
//!
//! It speaks HTTP/1.1 without TLS on both sides, keeps connections alive, changes no header (so signatures over the
//! host hold if the client is given the proxy's address), and holds no body in memory.

mod body;
mod fault;
mod seen;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use self::body::Metered;
use self::fault::BodyFault;
pub use self::fault::Fault;
pub use self::seen::{Kind, Seen};
use crate::host::Host;

/// A proxy before one store. Clones are handles of the same proxy, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct FaultProxy {
    state: Arc<State>,
    host: Arc<Host>,
}

#[derive(Debug)]
struct State {
    store: SocketAddr,
    bytes_up: Arc<AtomicU64>,
    bytes_down: Arc<AtomicU64>,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    seen: Vec<Seen>,
    delay: Duration,
    next: VecDeque<Planned>,
    /// The last answers to lists, by path and query.
    lists: HashMap<Uri, Response<Bytes>>,
    frozen: bool,
}

/// A fault for the next requests of some kind.
struct Planned {
    fault: Fault,
    left: usize,
    applies: Box<dyn Fn(&Seen) -> bool + Send>,
}

impl fmt::Debug for Planned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} x {}", self.fault, self.left)
    }
}

impl FaultProxy {
    /// Starts a proxy before the store at `endpoint`, `http://HOST:PORT` with or without a path.
    ///
    /// # Errors
    ///
    /// The endpoint is none, or no port is free.
    pub fn start(endpoint: &str) -> Result<Self> {
        let authority = endpoint.strip_prefix("http://").context("not an http:// endpoint")?;
        let authority = authority.split('/').next().unwrap_or_default();
        let state = Arc::new(State {
            store: authority.parse().with_context(|| format!("{authority} is not IP:PORT"))?,
            bytes_up: Arc::default(),
            bytes_down: Arc::default(),
            plan: Mutex::default(),
        });
        let serving = Arc::clone(&state);
        let host = Arc::new(Host::start(move |listener| serve(listener, serving))?);
        Ok(Self { state, host })
    }

    /// `http://127.0.0.1:PORT` of the proxy; add the path of the store's endpoint if it has one.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.host.address())
    }

    /// All requests since the start or the last [`clear`](Self::clear), those that were not let through included.
    pub fn requests(&self) -> Vec<Seen> {
        self.state.plan().seen.clone()
    }

    /// How many of the requests are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.state.plan().seen.iter().filter(|seen| seen.kind() == kind).count()
    }

    /// The bytes of request bodies that went to the store.
    pub fn bytes_up(&self) -> u64 {
        self.state.bytes_up.load(Ordering::Relaxed)
    }

    /// The bytes of answers that went to clients.
    pub fn bytes_down(&self) -> u64 {
        self.state.bytes_down.load(Ordering::Relaxed)
    }

    /// Forgets the requests and bytes so far.
    pub fn clear(&self) {
        self.state.plan().seen.clear();
        self.state.bytes_up.store(0, Ordering::Relaxed);
        self.state.bytes_down.store(0, Ordering::Relaxed);
    }

    /// From now on each request waits this long before it goes to the store.
    pub fn delay(&self, delay: Duration) {
        self.state.plan().delay = delay;
    }

    /// The next `requests` requests have a fault, after those that are planned already. `usize::MAX` is an outage, until
    /// [`heal`](Self::heal).
    pub fn next(&self, fault: Fault, requests: usize) {
        self.next_where(fault, requests, |_| true);
    }

    /// The next `requests` requests of a kind have a fault.
    pub fn next_of(&self, kind: Kind, fault: Fault, requests: usize) {
        self.next_where(fault, requests, move |seen| seen.kind() == kind);
    }

    /// The next `requests` requests that `applies` to have a fault. It is asked with the proxy locked: it must not
    /// call it.
    pub fn next_where(
        &self,
        fault: Fault,
        requests: usize,
        applies: impl Fn(&Seen) -> bool + Send + 'static,
    ) {
        let planned = Planned { fault, left: requests, applies: Box::new(applies) };
        self.state.plan().next.push_back(planned);
    }

    /// From now on a list that was asked for before is answered as it was then: the store's lists lag.
    pub fn freeze_lists(&self) {
        self.state.plan().frozen = true;
    }

    /// How many planned faults have not happened.
    pub fn pending(&self) -> usize {
        self.state.plan().next.iter().fold(0, |sum, planned| sum.saturating_add(planned.left))
    }

    /// No more faults, no more delay, and lists as they are.
    pub fn heal(&self) {
        let mut plan = self.state.plan();
        plan.frozen = false;
        plan.next.clear();
        plan.delay = Duration::ZERO;
    }
}

impl State {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, and tells what is planned for it.
    fn admit(&self, seen: Seen) -> (Duration, Option<Fault>) {
        let mut plan = self.plan();
        let planned = plan.next.iter_mut().find(|planned| (planned.applies)(&seen));
        let fault = planned.map(|planned| {
            planned.left = planned.left.saturating_sub(1);
            planned.fault.clone()
        });
        plan.next.retain(|planned| planned.left > 0);
        plan.seen.push(seen);
        (plan.delay, fault)
    }
}

impl State {
    fn frozen_list(&self, uri: &Uri) -> Option<Response<Bytes>> {
        let plan = self.plan();
        plan.lists.get(uri).filter(|_| plan.frozen).cloned()
    }
}

type Upstream = Client<HttpConnector, Metered<Incoming>>;

async fn serve(listener: TcpListener, state: Arc<State>) {
    let upstream: Upstream = Client::builder(TokioExecutor::new()).build_http();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let _ = stream.set_nodelay(true);
        let (state, upstream) = (Arc::clone(&state), upstream.clone());
        let service = service_fn(move |request| {
            let (state, upstream) = (Arc::clone(&state), upstream.clone());
            async move { pass(&state, &upstream, request).await }
        });
        let connection = hyper::server::conn::http1::Builder::new();
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
    }
}

/// Lets a request through, with its fault. An error closes the client's connection.
async fn pass(
    state: &State,
    upstream: &Upstream,
    mut request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let seen = Seen {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        copies: seen::copies(request.headers()),
        session_token: seen::session_token(request.headers()),
    };
    let lists = seen.kind() == Kind::List;
    let (delay, fault) = state.admit(seen);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match &fault {
        Some(Fault::Status(status)) => {
            return refuse(request, *status, fault::document(*status)).await;
        }
        Some(Fault::Answer(status, body)) => return refuse(request, *status, body.clone()).await,
        Some(Fault::Refuse) => return Err(io::Error::other("refused on purpose")),
        _ => {}
    }
    let uri = upstream_uri(state.store, request.uri())?;
    if let Some(list) = state.frozen_list(&uri).filter(|_| lists) {
        return Ok(list.map(Body::from));
    }
    *request.uri_mut() = uri.clone();
    let cut = match fault {
        Some(Fault::CutUpload(at)) => Some(BodyFault::Cut(at)),
        _ => None,
    };
    let counter = Arc::clone(&state.bytes_up);
    let request = request.map(|body| Metered::new(body, counter, cut));
    let answer = upstream.request(request).await.map_err(io::Error::other)?;
    if let Some(Fault::Late(by)) = fault {
        tokio::time::sleep(by).await;
    }
    if fault == Some(Fault::LoseAnswer) {
        // The store has done its work when its answer is complete.
        answer.into_body().collect().await.map_err(io::Error::other)?;
        return Err(io::Error::other("lost on purpose"));
    }
    let fault = fault.and_then(|fault| fault.of_body());
    if !lists {
        return Ok(give(state, answer, fault));
    }
    let (head, body) = answer.into_parts();
    let list = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let list = Response::from_parts(head, list);
    state.plan().lists.insert(uri, list.clone());
    Ok(give(state, list.map(Full::new), fault))
}

/// Answers in the store's place, after the whole request: a store that sheds load does so too.
async fn refuse(
    request: Request<Incoming>,
    status: u16,
    body: String,
) -> io::Result<Response<Body>> {
    let mut unread = request.into_body();
    while let Some(frame) = unread.frame().await {
        frame.map_err(io::Error::other)?;
    }
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = StatusCode::from_u16(status).map_err(io::Error::other)?;
    let xml = HeaderValue::from_static("application/xml");
    answer.headers_mut().insert(http::header::CONTENT_TYPE, xml);
    Ok(answer)
}

fn upstream_uri(store: SocketAddr, uri: &Uri) -> io::Result<Uri> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    format!("http://{store}{path}").parse().map_err(io::Error::other)
}

fn give<B>(state: &State, answer: Response<B>, fault: Option<BodyFault>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut head, body) = answer.into_parts();
    if let (Some(BodyFault::Truncate(at)), Some(length)) =
        (fault, head.headers.get_mut(CONTENT_LENGTH))
    {
        let whole = length.to_str().ok().and_then(|length| length.parse().ok());
        *length = at.min(whole.unwrap_or(at)).into();
    }
    let body = Metered::new(body, Arc::clone(&state.bytes_down), fault);
    Response::from_parts(head, Body::new(body))
}
