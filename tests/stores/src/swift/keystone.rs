//! Keystone v3, as far as a client of Swift and Swift's own `authtoken` need it: logins by password and by application
//! credential, scoped to one project, with a catalog; tokens that expire and can be revoked.
//!
//! <https://docs.openstack.org/api-ref/identity/v3/>

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::host::Host;

pub(super) const USER: &str = "berth";
pub(super) const PASSWORD: &str = "berth-password";
pub(super) const PROJECT: &str = "berth-project";
pub(super) const PROJECT_ID: &str = "5a1f0c0d9a4b4f6e8d7c6b5a49382716";
pub(super) const DOMAIN: &str = "Default";
pub(super) const REGION: &str = "RegionOne";
pub(super) const CREDENTIAL_ID: &str = "0e9b1c2d3e4f405162738495a6b7c8d9";
pub(super) const CREDENTIAL_NAME: &str = "berth-credential";
pub(super) const CREDENTIAL_SECRET: &str = "berth-credential-secret";

/// Who Swift itself is, to ask about tokens.
const SERVICE: (&str, &str) = ("swift", "swift-password");

/// A Keystone with one user in one project.
#[derive(Debug)]
pub(super) struct Keystone {
    host: Host,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// The object store's address in the catalog.
    store: String,
    tokens: Mutex<Tokens>,
}

#[derive(Debug)]
struct Tokens {
    issued: HashMap<String, Token>,
    lifetime: Duration,
    logins: usize,
    count: usize,
}

#[derive(Clone, Debug)]
struct Token {
    user: &'static str,
    method: &'static str,
    issued: SystemTime,
    expires: SystemTime,
}

impl Keystone {
    /// Starts a Keystone whose catalog has the object store at `store`.
    pub(super) fn start(store: String) -> Result<Self> {
        let lifetime = Duration::from_secs(3600);
        let tokens = Tokens { issued: HashMap::new(), lifetime, logins: 0, count: 0 };
        let state = Arc::new(State { store, tokens: Mutex::new(tokens) });
        let serving = Arc::clone(&state);
        let host = Host::serve(move |request| {
            let state = Arc::clone(&serving);
            async move { state.answer(request).await }
        })?;
        Ok(Self { host, state })
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.host.address())
    }

    /// A token of the user, without a login.
    pub(super) fn token(&self) -> String {
        self.state.tokens().issue(USER, "password").0
    }

    /// Logins of the user so far.
    pub(super) fn logins(&self) -> usize {
        self.state.tokens().logins
    }

    pub(super) fn set_lifetime(&self, lifetime: Duration) {
        self.state.tokens().lifetime = lifetime;
    }

    /// Makes all tokens of the user invalid.
    pub(super) fn revoke(&self) {
        self.state.tokens().issued.retain(|_, token| token.user != USER);
    }
}

impl Tokens {
    fn issue(&mut self, user: &'static str, method: &'static str) -> (String, Token) {
        self.count += 1;
        let id = format!("token-{user}-{}", self.count);
        let issued = SystemTime::now();
        // Swift's own token never runs out: the lifetime is a test's.
        let lives = if user == USER { self.lifetime } else { Duration::from_secs(86_400) };
        let token = Token { user, method, issued, expires: issued + lives };
        self.issued.insert(id.clone(), token.clone());
        (id, token)
    }

    fn valid(&self, id: Option<&HeaderValue>) -> Option<&Token> {
        let token = self.issued.get(id?.to_str().ok()?)?;
        (SystemTime::now() < token.expires).then_some(token)
    }
}

impl State {
    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return refuse(StatusCode::BAD_REQUEST, "the body broke off");
        };
        let host = head.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("");
        match (&head.method, head.uri.path().trim_end_matches('/')) {
            (&Method::GET, "") => {
                let versions = json!({"versions": {"values": [version(host)]}});
                json_answer(StatusCode::MULTIPLE_CHOICES, &versions)
            }
            (&Method::GET, "/v3") => {
                json_answer(StatusCode::OK, &json!({"version": version(host)}))
            }
            (&Method::POST, "/v3/auth/tokens") => self.log_in(host, &body.to_bytes()),
            (&Method::GET | &Method::HEAD, "/v3/auth/tokens") => self.look_up(host, &head.headers),
            (&Method::DELETE, "/v3/auth/tokens") => {
                let subject = head.headers.get("x-subject-token").and_then(|id| id.to_str().ok());
                self.tokens().issued.remove(subject.unwrap_or_default());
                json_answer(StatusCode::NO_CONTENT, &Value::Null)
            }
            _ => refuse(StatusCode::NOT_FOUND, "this test server has no such call"),
        }
    }

    fn log_in(&self, host: &str, body: &[u8]) -> Response<Body> {
        let auth: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some((user, method)) = who(&auth["auth"]) else {
            return refuse(
                StatusCode::UNAUTHORIZED,
                "The request you have made requires authentication.",
            );
        };
        let mut tokens = self.tokens();
        if user == USER {
            tokens.logins += 1;
        }
        let (id, token) = tokens.issue(user, method);
        let mut answer = json_answer(StatusCode::CREATED, &self.describe(host, &token));
        if let Ok(id) = HeaderValue::from_str(&id) {
            answer.headers_mut().insert("x-subject-token", id);
        }
        answer
    }

    fn look_up(&self, host: &str, headers: &HeaderMap) -> Response<Body> {
        let tokens = self.tokens();
        if tokens.valid(headers.get("x-auth-token")).is_none() {
            let message = "The request you have made requires authentication.";
            return refuse(StatusCode::UNAUTHORIZED, message);
        }
        match tokens.valid(headers.get("x-subject-token")) {
            Some(token) => json_answer(StatusCode::OK, &self.describe(host, token)),
            None => refuse(StatusCode::NOT_FOUND, "Could not find token."),
        }
    }

    fn describe(&self, host: &str, token: &Token) -> Value {
        let domain = json!({"id": "default", "name": DOMAIN});
        let (project, id) = match token.user {
            USER => (PROJECT, PROJECT_ID),
            _ => ("service", "service"),
        };
        let service = |name: &str, kind: &str, url: String| {
            let endpoint = |interface: &str| json!({"id": format!("{name}-{interface}"), "interface": interface, "region": REGION, "region_id": REGION, "url": url});
            let endpoints = ["public", "internal", "admin"].map(endpoint);
            json!({"id": name, "name": name, "type": kind, "endpoints": endpoints})
        };
        json!({"token": {
            "methods": [token.method],
            "user": {"id": format!("{}-id", token.user), "name": token.user, "domain": domain, "password_expires_at": null},
            "project": {"id": id, "name": project, "domain": domain},
            "is_domain": false,
            "roles": [{"id": "member-id", "name": "member"}],
            "audit_ids": ["audit"],
            "issued_at": time(token.issued),
            "expires_at": time(token.expires),
            "catalog": [
                service("swift", "object-store", format!("{}/v1/AUTH_{id}", self.store)),
                service("keystone", "identity", format!("http://{host}/v3")),
            ],
        }})
    }
}

/// The user that a login proves, and how.
fn who(auth: &Value) -> Option<(&'static str, &'static str)> {
    let identity = &auth["identity"];
    match identity["methods"][0].as_str()? {
        "password" => {
            let user = &identity["password"]["user"];
            let named = |name: &str| {
                let domain = &user["domain"];
                let domain = domain["id"] == "default" || domain["name"] == DOMAIN;
                (user["name"] == name && domain) || user["id"] == format!("{name}-id")
            };
            if named(USER) && user["password"] == PASSWORD && is_scoped(&auth["scope"]) {
                return Some((USER, "password"));
            }
            let service = named(SERVICE.0) && user["password"] == SERVICE.1;
            service.then_some((SERVICE.0, "password"))
        }
        "application_credential" => {
            let credential = &identity["application_credential"];
            let user = &credential["user"];
            let named = credential["name"] == CREDENTIAL_NAME
                && (user["name"] == USER || user["id"] == format!("{USER}-id"));
            let known = credential["id"] == CREDENTIAL_ID || named;
            let secret = credential["secret"] == CREDENTIAL_SECRET;
            // A credential brings its project along; a scope is refused.
            let proven = known && secret && auth.get("scope").is_none();
            proven.then_some((USER, "application_credential"))
        }
        _ => None,
    }
}

/// Whether a scope is the user's project.
fn is_scoped(scope: &Value) -> bool {
    let project = &scope["project"];
    let domain = &project["domain"];
    let domain = domain["id"] == "default" || domain["name"] == DOMAIN;
    project["id"] == PROJECT_ID || (project["name"] == PROJECT && domain)
}

fn version(host: &str) -> Value {
    json!({
        "id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": format!("http://{host}/v3/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    })
}

fn refuse(status: StatusCode, message: &str) -> Response<Body> {
    let title = status.canonical_reason().unwrap_or_default();
    let error = json!({"code": status.as_u16(), "message": message, "title": title});
    json_answer(status, &json!({"error": error}))
}

fn json_answer(status: StatusCode, value: &Value) -> Response<Body> {
    let body = if value.is_null() { Body::empty() } else { Body::from(value.to_string()) };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn time(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
