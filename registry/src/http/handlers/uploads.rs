use axum::body::Body;
use berth_metadata::MountSource;
use berth_oci::access::Access;
use berth_oci::{Algorithm, Digest, NameError, RepositoryName, UploadId};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{HeaderMap, Response, StatusCode};

use super::Context;
use crate::RegistryError;
use crate::http::action::StartUpload;
use crate::http::content_range::ContentRange;
use crate::http::{ApiError, render};
use crate::services::ChunkPlace;

pub(super) async fn start(
    context: &mut Context,
    repository: RepositoryName,
    start: StartUpload,
) -> Result<Response<Body>, ApiError> {
    let algorithm = match start {
        StartUpload::Session(algorithm) => algorithm,
        StartUpload::Whole(digest) => {
            let place = ChunkPlace { first: None, len: announced_len(&context.headers) };
            let (body, origin) = (&mut context.body, &context.origin);
            context.registry.upload_whole(&repository, &digest, place, body, origin).await?;
            return created(context, &repository, &digest);
        }
        StartUpload::Mount { digest, from } => {
            let source = mount_source(context, from.as_ref());
            if let Some(source) = source
                && context
                    .registry
                    .mount_blob(&repository, source, &digest, &context.origin)
                    .await?
            {
                return created(context, &repository, &digest);
            }
            digest.algorithm()
        }
    };
    open_session(context, &repository, algorithm).await
}

/// Where a blob may be mounted from: what the caller may read. Whatever they may not is nowhere, and
/// they upload the blob.
fn mount_source<'f>(
    context: &Context,
    from: Option<&'f Result<RepositoryName, NameError>>,
) -> Option<MountSource<'f>> {
    let access = context.registry.access.as_ref();
    let may_read = |name: &RepositoryName| {
        access
            .is_none_or(|access| context.caller.may(&access.policy(), Access::Pull, name.as_str()))
    };
    match from {
        Some(Ok(from)) => may_read(from).then_some(MountSource::Repository(from)),
        Some(Err(_)) => None,
        None => {
            let reads_all =
                access.is_none_or(|access| context.caller.may_read_all(&access.policy()));
            reads_all.then_some(MountSource::Any)
        }
    }
}

pub(super) async fn status(
    context: &Context,
    repository: RepositoryName,
    id: UploadId,
) -> Result<Response<Body>, ApiError> {
    let offset = context.registry.upload_offset(&repository, id).await?;
    session(context, StatusCode::NO_CONTENT, &repository, id, offset)
}

pub(super) async fn append(
    context: &mut Context,
    repository: RepositoryName,
    id: UploadId,
) -> Result<Response<Body>, ApiError> {
    let place = chunk_place(&context.headers)?;
    let appended =
        context.registry.append_to_upload(&repository, id, place, &mut context.body).await;
    match appended {
        Ok(offset) => session(context, StatusCode::ACCEPTED, &repository, id, offset),
        Err(error) => Err(with_session(context, &repository, id, error)),
    }
}

pub(super) async fn finish(
    context: &mut Context,
    repository: RepositoryName,
    id: UploadId,
    digest: Digest,
) -> Result<Response<Body>, ApiError> {
    let place = chunk_place(&context.headers)?;
    let (body, origin) = (&mut context.body, &context.origin);
    let finished =
        context.registry.finish_upload(&repository, id, &digest, place, body, origin).await;
    match finished {
        Ok(()) => created(context, &repository, &digest),
        Err(error) => Err(with_session(context, &repository, id, error)),
    }
}

async fn open_session(
    context: &Context,
    repository: &RepositoryName,
    algorithm: Algorithm,
) -> Result<Response<Body>, ApiError> {
    let id = context.registry.start_upload(repository, algorithm).await?;
    let mut response = session(context, StatusCode::ACCEPTED, repository, id, 0)?;
    let min_chunk = context.registry.blobs.capabilities().min_chunk;
    if min_chunk > 0 {
        response.headers_mut().insert(render::OCI_CHUNK_MIN, min_chunk.into());
    }
    Ok(response)
}

/// The answer that tells how far a session is. An empty one says `0-0`, as the reference registry
/// does: Docker's client wants a range whose end is not before its start.
fn session(
    context: &Context,
    status: StatusCode,
    repository: &RepositoryName,
    id: UploadId,
    offset: u64,
) -> Result<Response<Body>, ApiError> {
    let mut response = render::empty(status);
    session_headers(response.headers_mut(), context, repository, id, offset)?;
    Ok(response)
}

fn session_headers(
    headers: &mut HeaderMap,
    context: &Context,
    repository: &RepositoryName,
    id: UploadId,
    offset: u64,
) -> Result<(), ApiError> {
    let path = format!("/v2/{repository}/blobs/uploads/{id}");
    render::location(headers, &context.base_url, &path)?;
    headers.insert(RANGE, render::value(format!("0-{}", offset.saturating_sub(1)))?);
    headers.insert(render::UPLOAD_UUID, render::value(id.to_string())?);
    Ok(())
}

/// A chunk that came out of order is answered with where the session stands.
fn with_session(
    context: &Context,
    repository: &RepositoryName,
    id: UploadId,
    error: RegistryError,
) -> ApiError {
    let offset = match &error {
        RegistryError::UploadOutOfOrder { offset } => Some(*offset),
        _ => None,
    };
    let mut api = ApiError::from(error);
    if let Some(offset) = offset {
        let mut headers = HeaderMap::new();
        if session_headers(&mut headers, context, repository, id, offset).is_ok() {
            api.headers.extend(headers.drain().filter_map(|(name, value)| Some((name?, value))));
        }
    }
    api
}

fn created(
    context: &Context,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Response<Body>, ApiError> {
    let mut response = render::empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    let digest = digest.to_string();
    let path = format!("/v2/{repository}/blobs/{digest}");
    render::location(headers, &context.base_url, &path)?;
    headers.insert(render::CONTENT_DIGEST, render::value(digest)?);
    Ok(response)
}

fn chunk_place(headers: &HeaderMap) -> Result<ChunkPlace, ApiError> {
    let len = announced_len(headers);
    let Some(range) = headers.get(CONTENT_RANGE) else {
        return Ok(ChunkPlace { first: None, len });
    };
    let range: ContentRange = range
        .to_str()
        .map_err(|_| "malformed Content-Range".to_owned())
        .and_then(|text| text.parse().map_err(|error| format!("{error}")))
        .map_err(|message| {
            ApiError::new(StatusCode::BAD_REQUEST, berth_oci::ErrorCode::BlobUploadInvalid, message)
        })?;
    if let Some(received) = len.filter(|len| *len != range.len) {
        return Err(RegistryError::SizeMismatch { announced: range.len, received }.into());
    }
    Ok(ChunkPlace { first: Some(range.first), len: Some(range.len) })
}

fn announced_len(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
