//! Answers, errors among them.

use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

/// Why a request is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
    }

    pub(crate) fn no_key() -> Self {
        let message = "The specified key does not exist.";
        Self::new(StatusCode::NOT_FOUND, "NoSuchKey", message)
    }

    pub(crate) fn no_bucket() -> Self {
        let message = "The specified bucket does not exist.";
        Self::new(StatusCode::NOT_FOUND, "NoSuchBucket", message)
    }

    pub(crate) fn no_upload() -> Self {
        let message = "The specified multipart upload does not exist.";
        Self::new(StatusCode::NOT_FOUND, "NoSuchUpload", message)
    }

    pub(crate) fn answer(self) -> Response<Body> {
        let Self { status, code, message } = self;
        let code = escape(code);
        let message = escape(&message);
        let text = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        let mut answer = xml(&text);
        *answer.status_mut() = status;
        answer
    }
}

/// A document.
pub(crate) fn xml(text: &str) -> Response<Body> {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}");
    let mut answer = Response::new(Body::from(text));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}

/// No body, but headers.
pub(crate) fn empty(status: StatusCode, headers: HeaderMap) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}

/// Bytes, piece by piece.
pub(crate) fn pieces(pieces: Vec<Bytes>) -> Body {
    let pieces = pieces.into_iter().map(Ok::<_, std::convert::Infallible>);
    Body::from_stream(futures_util::stream::iter(pieces))
}

/// Text inside an element.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
