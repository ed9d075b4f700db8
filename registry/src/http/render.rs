//! Answers: the headers that clients rely on, and bodies.

use axum::body::Body;
use berth_oci::Digest;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::ApiError;
use crate::RegistryError;

pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
pub(super) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
pub(super) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
pub(super) const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
pub(super) const OCI_FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");
pub(super) const OCI_CHUNK_MIN: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// An answer with a status and no body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// An answer in JSON.
pub(super) fn json(
    status: StatusCode,
    media_type: &'static str,
    value: &impl Serialize,
) -> Result<Response<Body>, ApiError> {
    let body = serde_json::to_vec(value)
        .map_err(|error| RegistryError::Internal { cause: error.to_string() })?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok(response)
}

/// The answer to a failed request.
pub(super) fn error(error: &ApiError) -> Response<Body> {
    // The error list has string keys only, so it always has a JSON form.
    let body = serde_json::to_vec(&error.body).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = error.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.extend(error.headers.iter().cloned());
    response
}

/// Leaves of the answer to a HEAD what stands before the body. HTTP/1 does so anyway; over HTTP/2 the body would go out,
/// which is an error of the protocol for some clients.
pub(super) fn remove_body(response: &mut Response<Body>) {
    let len = http_body::Body::size_hint(response.body()).exact().filter(|len| *len > 0);
    if let Some(len) = len {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert(len.into());
    }
    *response.body_mut() = Body::empty();
}

/// A header value made of what the registry itself has parsed.
pub(super) fn value(text: impl Into<Bytes>) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_maybe_shared(text.into())
        .map_err(|error| RegistryError::Internal { cause: error.to_string() }.into())
}

/// A `Location` that stays on the host, scheme and port that the client used, whatever proxies
/// are between; or under the external address, where one is configured.
pub(super) fn location(
    headers: &mut HeaderMap,
    external_url: &str,
    path: &str,
) -> Result<(), ApiError> {
    headers.insert(LOCATION, value(format!("{external_url}{path}"))?);
    Ok(())
}

/// The headers that name content, on GET and HEAD alike.
pub(super) fn content_headers(
    headers: &mut HeaderMap,
    digest: &Digest,
    media_type: HeaderValue,
    len: u64,
) -> Result<(), ApiError> {
    let quoted = Bytes::from(format!("\"{digest}\""));
    let digest = value(quoted.slice(1..quoted.len() - 1))?;
    headers.reserve(8);
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(CONTENT_LENGTH, len.into());
    headers.insert(CONTENT_DIGEST, digest);
    headers.insert(ETAG, value(quoted)?);
    Ok(())
}

/// Whether the client holds the content already (RFC 9110 section 13.1.2).
pub(super) fn is_not_modified(request: &HeaderMap, digest: &Digest) -> bool {
    let Some(condition) = request.get(IF_NONE_MATCH) else { return false };
    let Ok(condition) = condition.to_str() else { return false };
    let digest = digest.to_string();
    condition.split(',').map(str::trim).any(|tag| {
        // Some clients send the digest without the quotes of an entity tag.
        let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        tag == digest || tag == "*"
    })
}
