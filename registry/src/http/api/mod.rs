//! Administration over HTTP: `/api/v1/`, in JSON, with errors as RFC 9457 has them.
//!
//! A handler reads what is asked for, has [`Administration`] decide it, and renders what came of it.
//! Operators' commands go the same way ([`Api::answer`]), so that both say the same.

mod asked;
mod audit;
mod audited;
mod extract;
mod grants;
mod guard;
mod me;
mod openapi;
mod organisations;
mod page;
mod policy;
mod problem;
mod respond;
mod robots;
mod teams;
mod time;
mod tokens;
mod users;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::Response;
use tower::ServiceExt as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Registry;
use crate::access::administration::{Administration, Asker};

pub use asked::{ApiAnswer, ApiRequest};
use audited::Audited;
pub(crate) use audited::Origin;
pub(super) use guard::answer;
use problem::Problem;

/// Below what the API's paths are, themselves below the prefix of the configuration.
pub(super) const ROOT: &str = "/api";

/// What stands before [`ROOT`] in the addresses that are answered.
#[derive(Clone, Debug)]
struct Prefix(Arc<str>);

/// The API.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    registry: Arc<Registry>,
    /// Made for the first who asks: the description of the API that is made with it takes megabytes, which most
    /// registries never need.
    router: Arc<OnceLock<Router>>,
}

/// What is asked of the API.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) asker: Asker,
    pub(crate) request: http::request::Parts,
    pub(crate) body: Bytes,
    /// What stands before the API's paths.
    pub(crate) prefix: String,
    /// Where it comes from.
    pub(crate) origin: Origin,
}

impl Api {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry, router: Arc::default() }
    }

    fn router(&self) -> Router {
        let make = || {
            let (router, _) = routes().split_for_parts();
            router
                .fallback(async || Problem::not_found("there is nothing at this address"))
                .method_not_allowed_fallback(async || Problem::method_not_allowed())
                .with_state(self.registry.clone())
        };
        self.router.get_or_init(make).clone()
    }

    /// Answers what is asked. A change runs to its end, even when whoever asked for it goes.
    pub(crate) async fn answer(&self, call: Call) -> Response<Body> {
        let Call { asker, mut request, body, prefix, origin } = call;
        let path = request.uri.path();
        let audited = Audited::of(asker.name(), &request.method, path, &body, &origin);
        request.extensions.insert(asker);
        request.extensions.insert(Prefix(prefix.into()));
        let request = Request::from_parts(request, Body::from(body));
        let router = self.router();
        let work = async move {
            match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        };
        let Some(audited) = audited else { return work.await };
        let registry = self.registry.clone();
        let told = async move {
            let response = work.await;
            audited::tell(&registry, audited.answered(&response)).await;
            response
        };
        let done = self.registry.writes.spawn(told).await;
        done.unwrap_or_else(|error| Problem::internal(error.to_string()).into())
    }
}

/// Every route, and the documentation that is made of it.
fn routes() -> OpenApiRouter<Arc<Registry>> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(me::show_me))
        .routes(routes!(users::list_users, users::create_user))
        .routes(routes!(users::show_user, users::change_user, users::delete_user))
        .routes(routes!(organisations::list_organisations, organisations::create_organisation))
        .routes(routes!(
            organisations::show_organisation,
            organisations::change_organisation,
            organisations::delete_organisation
        ))
        .routes(routes!(organisations::list_members))
        .routes(routes!(organisations::set_member, organisations::remove_member))
        .routes(routes!(teams::list_teams, teams::create_team))
        .routes(routes!(teams::delete_team))
        .routes(routes!(teams::list_team_members))
        .routes(routes!(teams::add_team_member, teams::remove_team_member))
        .routes(routes!(robots::list_robots, robots::create_robot))
        .routes(routes!(robots::show_robot, robots::change_robot, robots::delete_robot))
        .routes(routes!(tokens::list_tokens, tokens::create_token))
        .routes(routes!(tokens::show_token, tokens::delete_token))
        .routes(routes!(tokens::rotate_token))
        .routes(routes!(tokens::revoke_tokens))
        .routes(routes!(grants::list_grants, grants::add_grant))
        .routes(routes!(grants::show_grant, grants::remove_grant))
        .routes(routes!(policy::explain_policy))
        .routes(routes!(audit::list_audit))
        .routes(routes!(openapi::show_openapi))
}

#[cfg(test)]
mod tests;
