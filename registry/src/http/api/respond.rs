use axum::body::Body;
use http::header::{CONTENT_TYPE, LINK};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::Problem;

/// What a handler answers.
pub(super) type Answer = Result<Response<Body>, Problem>;

/// What was asked for.
pub(super) fn ok(value: &impl Serialize) -> Answer {
    json(StatusCode::OK, value)
}

/// What was made.
pub(super) fn created(value: &impl Serialize) -> Answer {
    json(StatusCode::CREATED, value)
}

/// It is done, and there is nothing to tell.
pub(super) fn done() -> Answer {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// A page of a list, and the link to the next one.
pub(super) fn list(entries: &impl Serialize, next: Option<String>) -> Answer {
    let mut response = ok(entries)?;
    if let Some(next) = next {
        let link = HeaderValue::try_from(next);
        let link = link.map_err(|error| Problem::internal(error.to_string()))?;
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).map_err(|error| Problem::internal(error.to_string()))?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
