//! What Azure has on the way to a token: Entra ID, and the managed identities of machines and of apps.
//!
//! The tokens are what Azurite wants to see of one: an issuer, an audience, and a time. Nobody signs them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::json;

use super::header;
use crate::host::{self, Host};
use crate::xml::Query;

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const CLIENT: &str = "11059fcc-5514-4800-b5f8-49808b9cfab6";
const SECRET: &str = "berth+client/secret";
const POD_TOKEN: &str = "berth-pod-token";
const APP_PATH: &str = "/msi/token";
const APP_SECRET: &str = "berth-app-secret";
/// Where a machine finds its identity, at an address that is the same everywhere.
const MACHINE_HOST: &str = "169.254.169.254";
const MACHINE_PATH: &str = "/metadata/identity/oauth2/token";
const AUDIENCE: &str = "https://storage.azure.com";
const LIFETIME: Duration = Duration::from_secs(3600);

/// The services of Azure's that give out tokens.
#[derive(Debug)]
pub struct AzureIdentity {
    host: Host,
    given: Arc<AtomicUsize>,
}

impl AzureIdentity {
    /// Starts the services.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub fn start() -> Result<Self> {
        let given = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&given);
        let host = Host::serve(move |request: Request<Body>| {
            let counted = Arc::clone(&counted);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                let answer = answer(&head, &String::from_utf8_lossy(&body));
                if answer.status().is_success() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                answer
            }
        })?;
        Ok(Self { host, given })
    }

    /// How often a token was given out.
    pub fn given(&self) -> usize {
        self.given.load(Ordering::Relaxed)
    }

    /// `http://127.0.0.1:PORT` of Entra ID. As a proxy it also has the machine's address behind it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.host.address())
    }

    /// The address that an app (App Service, Container Apps) is told.
    pub fn app_endpoint(&self) -> String {
        format!("{}{APP_PATH}", self.endpoint())
    }

    /// What an app shows there.
    pub fn app_secret(&self) -> &'static str {
        APP_SECRET
    }

    /// The tenant.
    pub fn tenant(&self) -> &'static str {
        TENANT
    }

    /// The id of the one application.
    pub fn client(&self) -> &'static str {
        CLIENT
    }

    /// The application's secret.
    pub fn secret(&self) -> &'static str {
        SECRET
    }

    /// What a pod shows in place of the secret.
    pub fn pod_token(&self) -> &'static str {
        POD_TOKEN
    }
}

fn answer(head: &Parts, body: &str) -> Response<Body> {
    let query = Query::new(head.uri.query().unwrap_or_default());
    let is_for_storage =
        query.get("resource").is_some_and(|resource| resource.trim_end_matches('/') == AUDIENCE);
    let host = head.uri.host().unwrap_or_default();
    match (&head.method, head.uri.path()) {
        (&Method::POST, path) if path == format!("/{TENANT}/oauth2/v2.0/token") => {
            application(&Query::new(body))
        }
        // <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>
        (&Method::GET, MACHINE_PATH)
            if host == MACHINE_HOST && header(head, "metadata") == "true" && is_for_storage =>
        {
            managed(&query)
        }
        // <https://learn.microsoft.com/azure/app-service/overview-managed-identity>
        (&Method::GET, APP_PATH)
            if header(head, "x-identity-header") == APP_SECRET && is_for_storage =>
        {
            managed(&query)
        }
        (_, path) => host::text(StatusCode::NOT_FOUND, &format!("nothing is at {path}")),
    }
}

/// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>
fn application(form: &Query) -> Response<Body> {
    let is = |name: &str, value: &str| form.get(name) == Some(value);
    let asked = is("grant_type", "client_credentials")
        && is("client_id", CLIENT)
        && is("scope", &format!("{AUDIENCE}/.default"));
    let assertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let pod = is("client_assertion_type", assertion) && is("client_assertion", POD_TOKEN);
    if !asked || !(pod || is("client_secret", SECRET)) {
        let told = json!({"error": "invalid_client", "error_description": "AADSTS7000215"});
        return host::text(StatusCode::UNAUTHORIZED, &told.to_string());
    }
    let seconds = LIFETIME.as_secs();
    let told = json!({"token_type": "Bearer", "expires_in": seconds, "access_token": token()});
    host::text(StatusCode::OK, &told.to_string())
}

/// The identity of the machine, or the one of several that is chosen.
fn managed(query: &Query) -> Response<Body> {
    if query.get("client_id").is_some_and(|client| client != CLIENT) {
        return host::text(StatusCode::BAD_REQUEST, "Identity not found");
    }
    let until = now() + LIFETIME.as_secs();
    let told = json!({
        "token_type": "Bearer",
        "expires_on": until.to_string(),
        "resource": AUDIENCE,
        "access_token": token(),
    });
    host::text(StatusCode::OK, &told.to_string())
}

fn token() -> String {
    let encode = |part: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let now = now();
    let claims = json!({
        "iss": format!("https://sts.windows.net/{TENANT}/"),
        "aud": AUDIENCE,
        "iat": now,
        "nbf": now,
        "exp": now + LIFETIME.as_secs(),
        "oid": CLIENT,
        "tid": TENANT,
    });
    let (head, claims) = (encode(json!({"alg": "HS256", "typ": "JWT"})), encode(claims));
    format!("{head}.{claims}.{}", BASE64_URL_SAFE_NO_PAD.encode("unsigned"))
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}
