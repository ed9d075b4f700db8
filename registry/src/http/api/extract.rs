//! What handlers are given of a request, read and checked.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use super::{Administration, Asker, Problem};
use crate::Registry;

impl FromRequestParts<Arc<Registry>> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &Arc<Registry>,
    ) -> Result<Self, Self::Rejection> {
        let asker = parts.extensions.get().cloned();
        asker.ok_or_else(|| Problem::internal("nobody asks".to_owned()))
    }
}

impl FromRequestParts<Arc<Registry>> for Administration {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        registry: &Arc<Registry>,
    ) -> Result<Self, Self::Rejection> {
        let asker = Asker::from_request_parts(parts, registry).await?;
        Ok(Self::new(registry.clone(), asker)?)
    }
}

/// The names that a path holds.
pub(super) struct Names<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Names<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let names = Path::<T>::from_request_parts(parts, state).await;
        let Path(names) = names.map_err(|error| Problem::invalid(error.body_text()))?;
        Ok(Self(names))
    }
}

/// The filters that a query holds.
pub(super) struct Filters<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Filters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let filters = Query::<T>::try_from_uri(&parts.uri);
        let Query(filters) = filters.map_err(|error| Problem::invalid(error.body_text()))?;
        Ok(Self(filters))
    }
}

/// A body in JSON, of nothing but what is known.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        let (parts, body) = request.into_parts();
        let media_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = media_type.and_then(|value| value.split(';').next()).map(str::trim);
        if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
            return Err(Problem::media_type());
        }
        // It is in memory already, and short.
        let body = body.collect().await.map_err(|error| Problem::internal(error.to_string()))?;
        let value = serde_json::from_slice(&body.to_bytes());
        value.map(Self).map_err(|error| Problem::invalid(format!("the body: {error}")))
    }
}

/// Reads a part of a request that people write.
pub(super) fn parse<T>(what: &str, text: &str) -> Result<T, Problem>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| Problem::invalid(format!("{what}: {error}")))
}
