use axum::body::Body;
use berth_oci::{Reference, RepositoryName, Tag, media_type};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, WARNING};
use http::{HeaderValue, Method, Response, StatusCode};

use super::Context;
use crate::RegistryError;
use crate::http::{ApiError, render};
use crate::services::{Note, PushManifest};

pub(super) async fn read(
    context: &Context,
    repository: RepositoryName,
    reference: Reference,
) -> Result<Response<Body>, ApiError> {
    let (manifest, note) =
        context.registry.pull_manifest(&repository, &reference, &context.via()).await?;
    if context.method != Method::HEAD {
        context.registry.pull_log.note(&repository, &manifest.digest);
    }
    let mut response = if render::is_not_modified(&context.headers, &manifest.digest) {
        render::empty(StatusCode::NOT_MODIFIED)
    } else if context.method == Method::HEAD {
        render::empty(StatusCode::OK)
    } else {
        let told = &context.registry.notifications;
        told.pulled_manifest(&context.origin, &repository, &reference, &manifest);
        Response::new(Body::from(manifest.payload.clone()))
    };
    render::content_headers(
        response.headers_mut(),
        &manifest.digest,
        media_type_value(&manifest.media_type)?,
        manifest.payload.len() as u64,
    )?;
    if response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    if let Some(note) = note {
        response.headers_mut().append(WARNING, warning(&note)?);
    }
    Ok(response)
}

/// What a client is warned of, as the specification has it: code 299 and no agent.
fn warning(note: &Note) -> Result<HeaderValue, ApiError> {
    let text = match note {
        Note::Stale(error) => format!("served from the cache: {error}"),
        Note::Local => "this tag was pushed here and stands before that of the upstream".to_owned(),
    };
    let plain = |c: &char| c.is_ascii_graphic() || *c == ' ';
    let text: String = text
        .chars()
        .filter(plain)
        .flat_map(|c| {
            let escape = matches!(c, '"' | '\\').then_some('\\');
            escape.into_iter().chain([c])
        })
        .collect();
    render::value(format!("299 - \"{text}\""))
}

pub(super) async fn put(
    context: &mut Context,
    repository: RepositoryName,
    reference: Reference,
    tags: Vec<Tag>,
) -> Result<Response<Body>, ApiError> {
    let limit = context.config.http.limits.manifestsize.bytes();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let announced = context.headers.get(CONTENT_LENGTH).and_then(|len| len.to_str().ok());
    let announced: Option<usize> = announced.and_then(|len| len.parse().ok());
    if announced.is_some_and(|len| len > limit) {
        return Err(too_large(limit));
    }
    let body = context.body.collect(limit).await.map_err(RegistryError::from)?;
    let payload = body.ok_or_else(|| too_large(limit))?;
    let pushed = context
        .registry
        .push_manifest(PushManifest {
            repository: repository.clone(),
            reference,
            tags: tags.clone(),
            content_type: announced_type(context),
            payload,
            origin: context.origin.clone(),
        })
        .await?;
    let mut response = render::empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    let digest = pushed.digest.to_string();
    let path = format!("/v2/{repository}/manifests/{digest}");
    render::location(headers, &context.base_url, &path)?;
    headers.insert(render::CONTENT_DIGEST, render::value(digest)?);
    if let Some(subject) = pushed.subject {
        headers.insert(render::OCI_SUBJECT, render::value(subject.to_string())?);
    }
    for tag in tags {
        headers.append(render::OCI_TAG, render::value(tag.to_string())?);
    }
    if pushed.media_type == media_type::OCI_ARTIFACT_MANIFEST {
        headers.append(WARNING, HeaderValue::from_static(
            "299 - \"the OCI artifact manifest was withdrawn from the specification; push artifacts as image manifests with an artifactType\"",
        ));
    }
    Ok(response)
}

/// The media types of nearly all manifests need no copy.
fn media_type_value(text: &str) -> Result<HeaderValue, ApiError> {
    for known in [
        media_type::OCI_IMAGE_MANIFEST,
        media_type::OCI_IMAGE_INDEX,
        media_type::DOCKER_MANIFEST,
        media_type::DOCKER_MANIFEST_LIST,
    ] {
        if text == known {
            return Ok(HeaderValue::from_static(known));
        }
    }
    render::value(text.to_owned())
}

/// The announced type without parameters; clients that do not know say `octet-stream` or nothing.
fn announced_type(context: &Context) -> Option<String> {
    let value = context.headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = value.split(';').next().unwrap_or_default().trim();
    match media_type {
        "" | "application/octet-stream" | "application/json" => None,
        media_type => Some(media_type.to_owned()),
    }
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        berth_oci::ErrorCode::ManifestInvalid,
        format!(
            "the manifest is larger than the limit of {limit} bytes (http.limits.manifestsize)"
        ),
    )
}
