use axum::body::Body;
use berth_metadata::{Page, Referrer};
use berth_oci::{Descriptor, Digest, RepositoryName, media_type};
use http::header::LINK;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use super::Context;
use crate::http::page::{PageRequest, next_link};
use crate::http::{ApiError, render};
use crate::services::catalog::CatalogPage;

/// The most tags in one answer; a `Link` leads to the rest.
const MAX_TAGS: u32 = 10_000;

pub(super) async fn catalog(
    context: &Context,
    request: PageRequest,
) -> Result<Response<Body>, ApiError> {
    let limit = request.limit(context.config.catalog.maxentries);
    let page = match limit {
        0 => CatalogPage::default(),
        limit => {
            context.registry.catalog_for(&context.caller, request.last.as_deref(), limit).await?
        }
    };
    let body = json!({ "repositories": page.entries });
    let mut response = render::json(StatusCode::OK, "application/json", &body)?;
    if let Some(last) = page.last {
        add_link(context, &mut response, "/v2/_catalog", limit, &last)?;
    }
    Ok(response)
}

pub(super) async fn tags(
    context: &Context,
    repository: RepositoryName,
    request: PageRequest,
) -> Result<Response<Body>, ApiError> {
    let limit = request.limit(MAX_TAGS);
    // A page of nothing still tells whether the repository exists.
    let (last, via) = (request.last.as_deref(), context.via());
    let page = context.registry.pull_tags(&repository, last, limit.max(1), &via).await?;
    let page = if limit == 0 { nothing() } else { page };
    let body = json!({ "name": repository, "tags": page.entries });
    let mut response = render::json(StatusCode::OK, "application/json", &body)?;
    if let Some(last) = page.entries.last().filter(|_| page.more) {
        let path = format!("/v2/{repository}/tags/list");
        add_link(context, &mut response, &path, limit, last.as_ref())?;
    }
    Ok(response)
}

pub(super) async fn referrers(
    context: &Context,
    repository: RepositoryName,
    subject: Digest,
    artifact_type: Option<String>,
    after: Option<Digest>,
) -> Result<Response<Body>, ApiError> {
    let wanted = artifact_type.as_deref();
    let (after, via) = (after.as_ref(), context.via());
    let page = context.registry.pull_referrers(&repository, &subject, wanted, after, &via).await?;
    let last = page.entries.last().map(|referrer| referrer.digest.to_string());
    let manifests: Vec<_> = page.entries.into_iter().map(descriptor).collect();
    let body = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_IMAGE_INDEX,
        "manifests": manifests,
    });
    let mut response = render::json(StatusCode::OK, media_type::OCI_IMAGE_INDEX, &body)?;
    if artifact_type.is_some() {
        let applied = HeaderValue::from_static("artifactType");
        response.headers_mut().insert(render::OCI_FILTERS, applied);
    }
    if let Some(last) = last.filter(|_| page.more) {
        let path = format!("{}/v2/{repository}/referrers/{subject}", &context.base_url);
        let filter = artifact_type.iter().map(|wanted| ("artifactType", wanted.as_str()));
        let parameters: Vec<_> = filter.chain([("last", last.as_str())]).collect();
        response.headers_mut().insert(LINK, render::value(next_link(&path, &parameters))?);
    }
    Ok(response)
}

fn descriptor(referrer: Referrer) -> Descriptor {
    Descriptor {
        media_type: referrer.media_type,
        digest: referrer.digest,
        size: referrer.size,
        urls: Vec::new(),
        artifact_type: referrer.artifact_type,
        annotations: referrer.annotations,
        platform: None,
    }
}

fn nothing<T>() -> Page<T> {
    Page { entries: Vec::new(), more: false }
}

/// Where the next page is, behind `last`.
fn add_link(
    context: &Context,
    response: &mut Response<Body>,
    path: &str,
    limit: u32,
    last: &str,
) -> Result<(), ApiError> {
    let path = format!("{}{path}", &context.base_url);
    let link = next_link(&path, &[("n", &limit.to_string()), ("last", last)]);
    response.headers_mut().insert(LINK, render::value(link)?);
    Ok(())
}
