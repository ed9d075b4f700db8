//! One handler an action: read what the request says beside its path, call one service, render.

mod blobs;
mod listings;
mod manifests;
mod uploads;

use std::sync::Arc;

use axum::body::Body;
use berth_config::Config;
use berth_mirror::Via;
use http::{HeaderMap, Method, Response, StatusCode};

use super::ConnectionInfo;
use super::action::{Action, UploadWrite};
use super::{ApiError, render};
use crate::Registry;
use crate::access::Caller;
use crate::notifications::Origin;
use crate::services::BodyReader;

/// A request, apart from its path and query.
pub(super) struct Context {
    pub(super) registry: Arc<Registry>,
    pub(super) config: Arc<Config>,
    /// Who has made it.
    pub(super) caller: Caller,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: BodyReader,
    pub(super) connection: Arc<ConnectionInfo>,
    /// What events say of the request.
    pub(super) origin: Origin,
    /// What every location begins with: the external address, where one is configured, and the
    /// path prefix, where there is one.
    pub(super) base_url: String,
}

impl Context {
    /// The mirrors that have passed the request on.
    fn via(&self) -> Via {
        Via::of(&self.headers)
    }
}

/// Answers an action. What the handler leaves of the body stays in the context.
pub(super) async fn handle(
    action: Action,
    context: &mut Context,
) -> Result<Response<Body>, ApiError> {
    if let Action::PutManifest(repository, ..)
    | Action::StartUpload(repository, _)
    | Action::Upload(repository, ..) = &action
    {
        context.registry.refuse_push_into_mirror(repository)?;
    }
    match action {
        Action::Ping => render::json(StatusCode::OK, "application/json", &serde_json::Map::new()),
        Action::Catalog(page) => listings::catalog(context, page).await,
        Action::Tags(repository, page) => listings::tags(context, repository, page).await,
        Action::Referrers { repository, subject, artifact_type, after } => {
            listings::referrers(context, repository, subject, artifact_type, after).await
        }
        Action::ReadManifest(repository, reference) => {
            manifests::read(context, repository, reference).await
        }
        Action::PutManifest(repository, reference, tags) => {
            manifests::put(context, repository, reference, tags).await
        }
        Action::DeleteManifest(repository, reference) => {
            context.registry.delete_manifest(&repository, &reference, &context.origin).await?;
            Ok(render::empty(StatusCode::ACCEPTED))
        }
        Action::DeleteRepository(repository) => {
            context.registry.delete_repository(&repository, &context.origin).await?;
            Ok(render::empty(StatusCode::ACCEPTED))
        }
        Action::ReadBlob(repository, digest) => blobs::read(context, repository, digest).await,
        Action::DeleteBlob(repository, digest) => {
            context.registry.delete_blob(&repository, &digest, &context.origin).await?;
            Ok(render::empty(StatusCode::ACCEPTED))
        }
        Action::StartUpload(repository, start) => uploads::start(context, repository, start).await,
        Action::Upload(repository, id, write) => match write {
            UploadWrite::Status => uploads::status(context, repository, id).await,
            UploadWrite::Append => uploads::append(context, repository, id).await,
            UploadWrite::Finish(digest) => uploads::finish(context, repository, id, digest).await,
            UploadWrite::Cancel => {
                context.registry.cancel_upload(&repository, id).await?;
                Ok(render::empty(StatusCode::NO_CONTENT))
            }
        },
    }
}
