use axum::body::Body;
use axum::response::IntoResponse;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::access::administration::AdministrationError;
use crate::http::ApiError;

/// What the log should hold of a failure, and the client should not; in the extensions of an answer.
#[derive(Clone, Debug)]
pub(super) struct Cause(pub(super) String);

/// What an answer says is wrong; in its extensions, for whoever tells others.
#[derive(Clone, Debug)]
pub(super) struct Detail(pub(super) String);

/// Why something was not done, as RFC 9457 has it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// What kind of problem it is, for programs.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "urn:berth:problem:not-found")]
    kind: &'static str,
    /// The same in words.
    #[schema(value_type = String)]
    title: &'static str,
    /// The status of the answer.
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = u16)]
    status: StatusCode,
    /// What is wrong here, and what can be done.
    detail: String,
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
    #[serde(skip)]
    cause: Option<String>,
}

/// What any request may be answered in place of what was asked for.
#[derive(IntoResponses)]
#[allow(dead_code)]
pub(super) enum Refusals {
    /// What is asked for cannot be.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(#[to_schema] Problem),
    /// Nobody has logged in.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(#[to_schema] Problem),
    /// Whoever asks may not do that.
    #[response(status = 403, content_type = "application/problem+json")]
    Denied(#[to_schema] Problem),
    /// It is not there, or not for whoever asks.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] Problem),
    /// It is there already, or the last administrator would go.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(#[to_schema] Problem),
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let (kind, title) = kind(status);
        let detail = detail.into();
        Self { kind, title, status, detail, headers: Vec::new(), cause: None }
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn denied(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn method_not_allowed() -> Self {
        let detail = "this address does not know the method; Allow names those that it knows";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, detail)
    }

    pub(super) fn media_type() -> Self {
        let detail = "the body must be JSON: send Content-Type: application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than 64 KiB")
    }

    pub(super) fn timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body did not come within the time limit")
    }

    pub(super) fn internal(cause: String) -> Self {
        let detail = "something unexpected happened; the log has it under this request's id";
        Self { cause: Some(cause), ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail) }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.retain(|(given, _)| *given != name);
        self.headers.push((name, value));
        self
    }
}

/// What a status stands for, for programs and in words.
fn kind(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::BAD_REQUEST => ("urn:berth:problem:invalid", "The request is not valid"),
        StatusCode::UNAUTHORIZED => ("urn:berth:problem:unauthorized", "Log in first"),
        StatusCode::FORBIDDEN => ("urn:berth:problem:denied", "Not allowed"),
        StatusCode::NOT_FOUND => ("urn:berth:problem:not-found", "Not found"),
        StatusCode::METHOD_NOT_ALLOWED => ("urn:berth:problem:method", "Unknown method"),
        StatusCode::REQUEST_TIMEOUT => ("urn:berth:problem:timeout", "Too slow"),
        StatusCode::CONFLICT => ("urn:berth:problem:conflict", "Not possible as things are"),
        StatusCode::PAYLOAD_TOO_LARGE => ("urn:berth:problem:too-large", "Too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("urn:berth:problem:media-type", "Not JSON"),
        StatusCode::TOO_MANY_REQUESTS => ("urn:berth:problem:slow-down", "Too many attempts"),
        StatusCode::SERVICE_UNAVAILABLE => ("urn:berth:problem:unavailable", "Try again later"),
        _ => ("urn:berth:problem:internal", "Unexpected error"),
    }
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl From<AdministrationError> for Problem {
    fn from(error: AdministrationError) -> Self {
        use AdministrationError as E;
        let status = match &error {
            E::NotFound(_) | E::NoAccounts => StatusCode::NOT_FOUND,
            E::Denied(_) | E::NoAdministrator => StatusCode::FORBIDDEN,
            E::Password(_) | E::Invalid(_) => StatusCode::BAD_REQUEST,
            E::Taken(_) | E::LastAdministrator(_) => StatusCode::CONFLICT,
            E::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        };
        let problem = Self::new(status, error.to_string());
        match error {
            E::Unavailable { cause } => Self { cause: Some(cause), ..problem }
                .with_header(RETRY_AFTER, HeaderValue::from_static("5")),
            _ => problem,
        }
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        let first = error.body.errors.into_iter().next();
        let detail = first.map(|entry| entry.message).unwrap_or_default();
        let problem = Self::new(error.status, detail);
        Self { headers: error.headers, cause: error.cause, ..problem }
    }
}

impl From<Problem> for Response<Body> {
    fn from(problem: Problem) -> Self {
        // It has string keys only, so it always has a JSON form.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = problem.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(problem.headers);
        response.extensions_mut().insert(Detail(problem.detail));
        if let Some(cause) = problem.cause {
            response.extensions_mut().insert(Cause(cause));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        self.into()
    }
}
