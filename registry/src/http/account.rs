//! What is told of each request: its name, and how it ended, to metrics and access log.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::Body;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Version};

use super::ConnectionInfo;
use crate::AccessLog;
use crate::observe::{AccessRecord, Metrics};

/// The header that carries the name of a request.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What stands in the access log for the status of a request whose client went before the answer,
/// as nginx has it.
const CLIENT_GONE: u16 = 499;

/// What the metrics and the access log are told of a request, once: when it is answered, or when
/// its client has gone before, which drops whatever waits for the answer.
pub(super) struct Account<'a> {
    metrics: &'a Metrics,
    started: Instant,
    logged: Option<(&'a AccessLog, Logged)>,
    label: &'static str,
    caller: Option<Arc<str>>,
    status: u16,
    bytes: u64,
}

impl<'a> Account<'a> {
    pub(super) fn open(metrics: &'a Metrics, logged: Option<(&'a AccessLog, Logged)>) -> Self {
        metrics.in_flight.inc();
        Self {
            metrics,
            started: Instant::now(),
            logged,
            label: "abandoned",
            caller: None,
            status: CLIENT_GONE,
            bytes: 0,
        }
    }

    pub(super) fn close(
        &mut self,
        label: &'static str,
        caller: Option<Arc<str>>,
        response: &Response<Body>,
    ) {
        self.label = label;
        self.caller = caller;
        self.status = response.status().as_u16();
        self.bytes = http_body::Body::size_hint(response.body()).exact().unwrap_or(0);
    }
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.metrics.record(self.label, self.status, took);
        self.metrics.in_flight.dec();
        if let Some((log, logged)) = &self.logged {
            log.record(&AccessRecord {
                id: logged.id.to_str().unwrap_or_default(),
                remote: &logged.connection.remote,
                method: &logged.method,
                uri: &logged.uri,
                version: logged.version,
                status: self.status,
                bytes: self.bytes,
                user_agent: &logged.user_agent,
                user: self.caller.as_deref().filter(|name| *name != "anonymous"),
                took,
            });
        }
    }
}

/// What the access log says of a request, taken before the request is used up.
pub(super) struct Logged {
    id: HeaderValue,
    connection: Arc<ConnectionInfo>,
    method: Method,
    uri: String,
    version: Version,
    user_agent: String,
}

impl Logged {
    pub(super) fn of<B>(
        request: &http::Request<B>,
        id: HeaderValue,
        connection: Arc<ConnectionInfo>,
    ) -> Self {
        let user_agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        Self {
            id,
            connection,
            method: request.method().clone(),
            uri: request.uri().to_string(),
            version: request.version(),
            user_agent: user_agent.unwrap_or_default().to_owned(),
        }
    }
}

/// The names of requests: the client's own where it gives one, else one that no other request of
/// this process has.
#[derive(Debug)]
pub(super) struct RequestIds {
    process: u32,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        let (process, ..) = uuid::Uuid::new_v4().as_fields();
        Self { process, next: AtomicU64::new(1) }
    }

    pub(super) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        if let Some(id) = headers.get(REQUEST_ID)
            && (1..=128).contains(&id.len())
            && id.as_bytes().iter().all(u8::is_ascii_graphic)
        {
            return id.clone();
        }
        let mut id = String::with_capacity(24);
        // Writing to a string does not fail, and hexadecimal digits are a header value.
        let _ = write!(id, "{:08x}-{:x}", self.process, self.next.fetch_add(1, Ordering::Relaxed));
        HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("-"))
    }
}
