use std::fmt;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable as _};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, StatusCode};
use object_store::client::{HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse};

use super::client::ObjectError;
use super::explain::{causes, shorten};
use crate::remote;
use crate::transport::Transport;

/// Requests of our own to a store, for what no client beneath has a call for: each is signed, and
/// tried again after growing, random pauses.
#[derive(Debug)]
pub(crate) struct Rest<A> {
    authorize: A,
    client: HttpClient,
}

/// Puts the proof of who asks on a request.
#[async_trait]
pub(crate) trait Authorize: fmt::Debug + Send + Sync + 'static {
    async fn authorize(&self, request: &mut HttpRequest) -> Result<(), ObjectError>;

    /// The store did not take the proof on a request (401). Whether it is worth to try another.
    async fn renew(&self, _refused: &HttpRequest) -> bool {
        false
    }
}

/// Proves nothing: for addresses that anyone may read.
#[derive(Debug)]
pub(crate) struct Anonymous;

#[async_trait]
impl Authorize for Anonymous {
    async fn authorize(&self, _request: &mut HttpRequest) -> Result<(), ObjectError> {
        Ok(())
    }
}

/// Why an attempt failed, and whether another one may not.
struct Failure {
    error: ObjectError,
    passing: bool,
}

impl<A: Authorize> Rest<A> {
    pub(crate) fn new(authorize: A, transport: &Transport) -> object_store::Result<Self> {
        Ok(Self { authorize, client: transport.client()? })
    }

    /// Sends a request that may be sent twice, and gives the answer once it is one of success.
    pub(crate) async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, ObjectError> {
        // Stores refuse bodies in chunks, which a body of several pieces is otherwise sent in.
        let length = HeaderValue::from(request.body().content_length());
        if request.method() == Method::PUT || request.method() == Method::POST {
            request.headers_mut().insert(CONTENT_LENGTH, length);
        }
        let attempts = || self.attempt(request.clone());
        attempts
            .retry(pauses())
            .when(|failure| failure.passing)
            .await
            .map_err(|failed| failed.error)
    }

    /// The whole text of an answer.
    pub(crate) async fn text(&self, request: HttpRequest) -> Result<String, ObjectError> {
        let body = self.send(request).await?.into_body().bytes().await.map_err(unanswered)?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    async fn attempt(&self, mut request: HttpRequest) -> Result<HttpResponse, Failure> {
        let authorized = self.authorize.authorize(&mut request).await;
        authorized.map_err(|error| Failure { error, passing: false })?;
        let asked = request.clone();
        let answer = self.client.execute(request).await.map_err(|error| Failure {
            passing: is_passing(error.kind()),
            error: unanswered(error),
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let renewed = status == StatusCode::UNAUTHORIZED && self.authorize.renew(&asked).await;
        let body = answer.into_body().bytes().await.unwrap_or_default();
        let error = refused(asked.method(), asked.uri().path(), status, &body);
        Err(Failure { error, passing: renewed || is_passing_status(status) })
    }
}

/// As those of the client beneath.
pub(crate) fn pauses() -> ExponentialBuilder {
    let retries = remote::retries();
    ExponentialBuilder::default()
        .with_jitter()
        .with_factor(retries.backoff.base as f32)
        .with_min_delay(retries.backoff.init_backoff)
        .with_max_delay(retries.backoff.max_backoff)
        .with_max_times(retries.max_retries)
        .with_total_delay(Some(retries.retry_timeout))
}

fn is_passing(kind: HttpErrorKind) -> bool {
    use HttpErrorKind::{Connect, Interrupted, Request, Timeout};
    matches!(kind, Connect | Interrupted | Request | Timeout)
}

fn is_passing_status(status: StatusCode) -> bool {
    status.is_server_error()
        || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status)
}

/// What a request that got no answer, or half of one, failed of.
pub(crate) fn unanswered(error: HttpError) -> ObjectError {
    ObjectError::Failed(causes(&error))
}

fn refused(method: &Method, path: &str, status: StatusCode, body: &[u8]) -> ObjectError {
    let body = match serde_json::from_slice::<serde_json::Value>(body) {
        // Some write it over many lines.
        Ok(json) => json.to_string(),
        Err(_) => shorten(&String::from_utf8_lossy(body)),
    };
    // What is not told in a line is a page for a browser.
    let words = body.lines().next().filter(|line| !line.trim_start().starts_with('<'));
    let text = match words {
        Some(words) => format!("{method} {path}: {status}: {words}"),
        None => format!("{method} {path}: {status}"),
    };
    match status {
        StatusCode::NOT_FOUND => ObjectError::NotFound(text),
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => ObjectError::Exists(text),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ObjectError::Denied(text),
        _ => ObjectError::Failed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_a_line() {
        let told = |status, body: &str| {
            refused(&Method::GET, "/bucket/key", status, body.as_bytes()).to_string()
        };
        let document =
            "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Less.</Message></Error>";
        assert_eq!(
            told(StatusCode::SERVICE_UNAVAILABLE, document),
            "GET /bucket/key: 503 Service Unavailable: SlowDown: Less."
        );
        let page = "<html><h1>Forbidden</h1></html>";
        assert!(told(StatusCode::FORBIDDEN, page).ends_with("GET /bucket/key: 403 Forbidden"));
        let lines = "{\n  \"error\": \"invalid_grant\"\n}";
        assert!(told(StatusCode::BAD_REQUEST, lines).ends_with(r#": {"error":"invalid_grant"}"#));
        let gone = refused(&Method::GET, "/key", StatusCode::NOT_FOUND, b"");
        assert!(matches!(gone, ObjectError::NotFound(_)), "{gone}");
    }
}
