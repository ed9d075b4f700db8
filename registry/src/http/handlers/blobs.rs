use std::ops::Range;

use axum::body::Body;
use berth_metadata::{BlobLocation, BlobRecord};
use berth_mirror::Arriving;
use berth_oci::{Digest, RepositoryName};
use berth_storage_backends::OpenBlob;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE,
    LOCATION, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::Context;
use crate::RegistryError;
use crate::http::arriving::ArrivingBody;
use crate::http::body::{BlobBody, Multipart};
use crate::http::{ApiError, ResolvedRanges, render};
use crate::services::PulledBlob;

/// Content never changes under its digest.
const FOREVER: HeaderValue = HeaderValue::from_static("max-age=31536000, immutable");
/// A client that cannot reach the store sends this, with any value, and gets the bytes from us.
const NO_REDIRECT: HeaderName = HeaderName::from_static("berth-no-redirect");
const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub(super) async fn read(
    context: &Context,
    repository: RepositoryName,
    digest: Digest,
) -> Result<Response<Body>, ApiError> {
    if context.method == Method::HEAD || render::is_not_modified(&context.headers, &digest) {
        return head(context, &repository, &digest).await;
    }
    let record = match context.registry.pull_blob(&repository, &digest, &context.via()).await? {
        PulledBlob::Here(record) => record,
        PulledBlob::Arriving(arriving) => return follow(context, &repository, arriving),
    };
    if let Some(redirect) = redirect(context, &record).await? {
        told(context, &repository, &record);
        return Ok(redirect);
    }
    let blob = context.registry.open_blob(&record).await?;
    let mut response = match ranges(&context.headers, &digest, blob.size) {
        ResolvedRanges::Whole => whole(context, blob, &digest).await?,
        ResolvedRanges::Parts(parts) => match &parts[..] {
            [part] => single(context, blob, &digest, part.clone()).await?,
            _ => multiple(context, blob, &digest, &parts).await?,
        },
        ResolvedRanges::Unsatisfiable => return Err(ApiError::range_not_satisfiable(blob.size)),
    };
    blob_headers(response.headers_mut());
    told(context, &repository, &record);
    Ok(response)
}

/// What a blob that is on its way is served by. Of it one range is served, as far as its size is known.
fn follow(
    context: &Context,
    repository: &RepositoryName,
    arriving: Arriving,
) -> Result<Response<Body>, ApiError> {
    let Arriving { digest, size, .. } = arriving;
    let mut response;
    match size.map(|size| (size, ranges(&context.headers, &digest, size))) {
        Some((size, ResolvedRanges::Unsatisfiable)) => {
            return Err(ApiError::range_not_satisfiable(size));
        }
        Some((size, ResolvedRanges::Parts(parts))) if parts.len() == 1 => {
            let part = parts[0].clone();
            let content_range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            let len = part.end - part.start;
            response = Response::new(Body::new(ArrivingBody::range(arriving, part)));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let headers = response.headers_mut();
            render::content_headers(headers, &digest, OCTET_STREAM, len)?;
            headers.insert(CONTENT_RANGE, render::value(content_range)?);
        }
        Some((size, _)) => {
            response = Response::new(Body::new(ArrivingBody::range(arriving, 0..size)));
            render::content_headers(response.headers_mut(), &digest, OCTET_STREAM, size)?;
        }
        None => {
            response = Response::new(Body::new(ArrivingBody::whole(arriving)));
            let headers = response.headers_mut();
            render::content_headers(headers, &digest, OCTET_STREAM, 0)?;
            headers.remove(CONTENT_LENGTH);
        }
    }
    blob_headers(response.headers_mut());
    if let Some(size) = size {
        let location = BlobLocation::default();
        told(context, repository, &BlobRecord { digest, size, location });
    }
    Ok(response)
}

/// Whoever wants to know of reads hears of this one.
fn told(context: &Context, repository: &RepositoryName, record: &BlobRecord) {
    context.registry.notifications.pulled_blob(&context.origin, repository, record);
}

async fn head(
    context: &Context,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Response<Body>, ApiError> {
    let size = context.registry.look_for_blob(repository, digest, &context.via()).await?;
    let not_modified = render::is_not_modified(&context.headers, digest);
    let status = if not_modified { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = render::empty(status);
    let headers = response.headers_mut();
    render::content_headers(headers, digest, OCTET_STREAM, size)?;
    blob_headers(headers);
    if not_modified {
        headers.remove(CONTENT_LENGTH);
    }
    Ok(response)
}

/// Sends the client to the store, where the store lets it in and the client can go there.
async fn redirect(
    context: &Context,
    record: &BlobRecord,
) -> Result<Option<Response<Body>>, ApiError> {
    let settings = &context.config.storage.redirect;
    let stays = context.headers.contains_key(NO_REDIRECT)
        || context.connection.ip.is_some_and(|client| !settings.permits(client));
    if settings.disable || stays {
        return Ok(None);
    }
    let valid = settings.expiry.get();
    let Some(address) = context.registry.presign_blob(record, valid).await? else {
        return Ok(None);
    };
    let mut response = render::empty(StatusCode::TEMPORARY_REDIRECT);
    let headers = response.headers_mut();
    headers.insert(LOCATION, render::value(address)?);
    headers.insert(render::CONTENT_DIGEST, render::value(record.digest.to_string())?);
    // The address is good for a while only, unlike what it leads to.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(Some(response))
}

fn blob_headers(headers: &mut HeaderMap) {
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, FOREVER);
}

/// The ranges wanted; all of it when `If-Range` names other content.
fn ranges(headers: &HeaderMap, digest: &Digest, size: u64) -> ResolvedRanges {
    if let Some(condition) = headers.get(IF_RANGE)
        && condition.as_bytes() != format!("\"{digest}\"").as_bytes()
    {
        return ResolvedRanges::Whole;
    }
    // Several headers of this name would be one list; no client sends them.
    ResolvedRanges::resolve(headers.get(RANGE).and_then(|range| range.to_str().ok()), size)
}

/// The answer that a body is for, once it can be had.
async fn begin(mut body: BlobBody) -> Result<Response<Body>, ApiError> {
    body.begin().await.map_err(RegistryError::from)?;
    Ok(Response::new(Body::new(body)))
}

async fn whole(
    context: &Context,
    blob: OpenBlob,
    digest: &Digest,
) -> Result<Response<Body>, ApiError> {
    let size = blob.size;
    let body = BlobBody::range(blob.content, 0..size, context.connection.sendfile.clone());
    let mut response = begin(body).await?;
    render::content_headers(response.headers_mut(), digest, OCTET_STREAM, size)?;
    Ok(response)
}

async fn single(
    context: &Context,
    blob: OpenBlob,
    digest: &Digest,
    part: Range<u64>,
) -> Result<Response<Body>, ApiError> {
    let content_range = format!("bytes {}-{}/{}", part.start, part.end - 1, blob.size);
    let len = part.end - part.start;
    let body = BlobBody::range(blob.content, part, context.connection.sendfile.clone());
    let mut response = begin(body).await?;
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    render::content_headers(headers, digest, OCTET_STREAM, len)?;
    headers.insert(CONTENT_RANGE, render::value(content_range)?);
    Ok(response)
}

async fn multiple(
    context: &Context,
    blob: OpenBlob,
    digest: &Digest,
    parts: &[Range<u64>],
) -> Result<Response<Body>, ApiError> {
    // The digest of the content cannot stand in the content by chance, so it separates its parts.
    let multipart = Multipart::new(&digest.hex()[..32], blob.size, parts);
    let content_type = render::value(multipart.content_type())?;
    let len = multipart.len();
    let body = BlobBody::multipart(blob.content, multipart, context.connection.sendfile.clone());
    let mut response = begin(body).await?;
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_LENGTH, len.into());
    headers.insert(ETAG, render::value(format!("\"{digest}\""))?);
    headers.insert(render::CONTENT_DIGEST, render::value(digest.to_string())?);
    Ok(response)
}
