//! What operators and orchestrators ask: health, readiness, metrics. An axum router beside the
//! Distribution API, whose names no path matcher can match.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use berth_oci::ErrorCode;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};

use super::{ActionError, ApiError, render};
use crate::Registry;

/// The routes beside `/v2/`; the metrics only where `metrics_path` is given.
pub(super) fn router(registry: Arc<Registry>, metrics_path: Option<&str>) -> Router {
    let mut router = Router::new()
        .route("/", get(async || "berth, an OCI image registry; its API is under /v2/\n"))
        .route("/healthz", get(async || "ok\n"))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready));
    if let Some(path) = metrics_path {
        router = router.route(path, get(metrics));
    }
    router.fallback(async || render::error(&ActionError::NotFound.into())).with_state(registry)
}

async fn ready(State(registry): State<Arc<Registry>>) -> Response<Body> {
    match registry.ready().await {
        Ok(()) => Response::new(Body::from("ok\n")),
        Err(error) => {
            tracing::warn!(%error, cause = error.cause(), "not ready");
            render::error(&ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::Unavailable,
                error,
            ))
        }
    }
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response<Body> {
    registry.metrics.mirror.follow(registry.mirror.status());
    let Ok(text) = registry.metrics.render() else {
        return render::empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"),
    );
    response
}
