use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::uri::Authority;
use http::{HeaderValue, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use object_store::client::{
    HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
};
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use super::Settings;
use super::low_water::LowWater;

/// How much is read from a socket at a time. Large enough that the calls cost little, small enough
/// that what was read is still in the processor's cache when it is checked and sent.
const READ_BUFFER: usize = 512 * 1024;

/// How many bytes of a body the reader is woken for: waking costs more than reading.
const LOW_WATER: u32 = 256 * 1024;

/// How long a connection is quiet before it is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long a connection is kept for the next read, and how many are.
const IDLE: Duration = Duration::from_secs(60);
const MOST_IDLE: usize = 16;

/// Reads over plain HTTP/1.1 in the task of whoever takes the bytes: no piece changes threads, and
/// the buffer of one is used again for the next. What is read ahead is in the socket.
#[derive(Clone, Debug)]
pub(super) struct Direct {
    connector: HttpConnector,
    user_agent: HeaderValue,
    idle: Idle,
}

impl Direct {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(settings.connect_timeout));
        connector.set_keepalive(Some(KEEPALIVE));
        Self { connector, user_agent: settings.user_agent.clone(), idle: Idle::default() }
    }

    /// Sends a request that may be sent twice.
    pub(super) async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let uri = request.uri().clone();
        let Some(authority) = uri.authority() else {
            let reason = io::Error::new(io::ErrorKind::InvalidInput, "an address without a host");
            return Err(HttpError::new(HttpErrorKind::Unknown, reason));
        };
        to_origin_form(&mut request, authority);
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        while let Some(kept) = self.idle.take(authority) {
            match self.exchange(kept, request.clone()).await {
                // The store has closed it meanwhile.
                Err(error) if error.kind() == HttpErrorKind::Request => {}
                done => return done,
            }
        }
        let connection = self.connect(&uri, authority).await?;
        self.exchange(connection, request).await
    }

    async fn connect(&self, uri: &Uri, authority: &Authority) -> Result<Connection, HttpError> {
        let stream = self.connector.clone().oneshot(uri.clone()).await;
        let stream = stream.map_err(|error| HttpError::new(HttpErrorKind::Connect, error))?;
        // A socket that cannot be had twice is only woken more often.
        let low_water = LowWater::new(stream.inner(), LOW_WATER).ok();
        let (sender, driver) = http1::Builder::new()
            .read_buf_exact_size(Some(READ_BUFFER))
            .handshake(stream)
            .await
            .map_err(|error| HttpError::new(HttpErrorKind::Connect, error))?;
        Ok(Connection { authority: authority.clone(), sender, driver: Some(driver), low_water })
    }

    async fn exchange(
        &self,
        mut connection: Connection,
        request: HttpRequest,
    ) -> Result<HttpResponse, HttpError> {
        let answer = connection.sender.send_request(request);
        let driver = &mut connection.driver;
        let mut answer = pin!(answer);
        let answer = std::future::poll_fn(|cx| {
            drive(driver, cx);
            answer.as_mut().poll(cx)
        });
        let answer = answer.await.map_err(explain)?;
        Ok(answer.map(|incoming| {
            HttpResponseBody::new(DirectBody {
                incoming,
                connection: Some(connection),
                idle: self.idle.clone(),
            })
        }))
    }
}

/// Requests name the host in a header of their own, and only the rest in their first line.
fn to_origin_form(request: &mut HttpRequest, authority: &Authority) {
    let port = authority.port_u16().filter(|port| *port != 80);
    let host = match port {
        Some(port) => format!("{}:{port}", authority.host()),
        None => authority.host().to_owned(),
    };
    if let Ok(host) = HeaderValue::try_from(host) {
        request.headers_mut().entry(HOST).or_insert(host);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
}

/// A connection that nobody drives but who asks something over it.
struct Connection {
    authority: Authority,
    sender: http1::SendRequest<HttpRequestBody>,
    /// `None` once it has ended.
    driver: Option<Driver>,
    low_water: Option<LowWater>,
}

type Driver = http1::Connection<TokioIo<TcpStream>, HttpRequestBody>;

/// Moves a connection on. What ends it is told to who waits for an answer, too.
fn drive(driver: &mut Option<Driver>, cx: &mut Context<'_>) {
    if let Some(driving) = driver
        && Pin::new(driving).poll(cx).is_ready()
    {
        *driver = None;
    }
}

impl Connection {
    /// Has its reader woken for many bytes, or all that are to come of an answer.
    fn expect(&mut self, bytes: u64) {
        if let Some(low_water) = &mut self.low_water {
            low_water.set_for(bytes);
        }
    }

    /// Whether the next request can be sent over it.
    fn is_ready(&mut self) -> bool {
        drive(&mut self.driver, &mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// Connections that wait for the next request.
#[derive(Clone, Debug, Default)]
struct Idle(Arc<Mutex<Vec<(Instant, Connection)>>>);

impl Idle {
    fn take(&self, authority: &Authority) -> Option<Connection> {
        loop {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.retain(|(since, _)| since.elapsed() < IDLE);
            let found = kept.iter().rposition(|(_, kept)| kept.authority == *authority)?;
            let (_, mut connection) = kept.swap_remove(found);
            drop(kept);
            if connection.is_ready() {
                return Some(connection);
            }
        }
    }

    fn put(&self, mut connection: Connection) {
        if !connection.is_ready() {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(since, _)| since.elapsed() < IDLE);
        if kept.len() < MOST_IDLE {
            kept.push((Instant::now(), connection));
        }
    }
}

/// The body of an answer, which drives its connection while it is read.
struct DirectBody {
    incoming: Incoming,
    connection: Option<Connection>,
    idle: Idle,
}

impl DirectBody {
    fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // The first look asks the connection to read, the second takes what it has read.
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let remaining = self.incoming.size_hint().exact();
        if let Some(connection) = &mut self.connection {
            // Where the end is not known, any byte may be the last.
            connection.expect(remaining.unwrap_or(1));
            drive(&mut connection.driver, cx);
        }
        Pin::new(&mut self.incoming).poll_frame(cx)
    }
}

impl Body for DirectBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = &mut *self;
        let frame = ready!(this.poll_incoming(cx));
        if frame.is_none()
            && let Some(mut connection) = this.connection.take()
        {
            connection.expect(1);
            this.idle.put(connection);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(explain)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

fn explain(error: hyper::Error) -> HttpError {
    let is_over = error.is_closed() || error.is_canceled() || error.is_incomplete_message();
    let kind = match is_over || error.is_body_write_aborted() {
        true => HttpErrorKind::Request,
        false => HttpErrorKind::Interrupted,
    };
    HttpError::new(kind, error)
}
