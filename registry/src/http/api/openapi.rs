//! The API's own description, made from its code.

use std::sync::OnceLock;

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, Info, License, OpenApi, OpenApiBuilder};

use super::Problem;
use super::respond::{self, Answer};
use crate::access::administration::Asker;

/// The name, the version, and how to log in.
pub(super) fn head() -> OpenApi {
    let info = Info::builder()
        .title("Berth: users, organisations, teams, robots, tokens and grants")
        .version("1")
        .description(Some(
            "Who may use the registry, and what they may do. Requests carry a name and a password, or a name and an access token (Basic), or an access token alone (Bearer). Lists come in pages: the header Link leads to the next one. Errors are problems as RFC 9457 has them.",
        ))
        .license(Some(License::new("Apache-2.0")))
        .build();
    let mut components = Components::new();
    for (name, scheme) in [("password", HttpAuthScheme::Basic), ("token", HttpAuthScheme::Bearer)] {
        components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
    }
    let security = ["password", "token"]
        .map(|name| SecurityRequirement::new(name, std::iter::empty::<String>()));
    OpenApiBuilder::new().info(info).components(Some(components)).security(Some(security)).build()
}

/// The description of the API, an OpenAPI document in JSON.
pub(super) fn document() -> &'static str {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let document = super::routes().into_openapi();
        // It has string keys only, so it always has a JSON form.
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        text + "\n"
    })
}

/// This description.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "description",
    responses((status = 200, description = "An OpenAPI document."))
)]
pub(super) async fn show_openapi(_: Asker) -> Answer {
    let document: serde_json::Value =
        serde_json::from_str(document()).map_err(|error| Problem::internal(error.to_string()))?;
    respond::ok(&document)
}
