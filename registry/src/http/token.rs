//! The token service: `GET /token` as Docker's token specification has it, `POST /token` as OAuth 2
//! has it, and `GET /token/keys`, the public keys.

use axum::body::Body;
use berth_config::Config;
use berth_oci::ErrorCode;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};

use super::gate::{self, Challenger};
use super::query::Query;
use super::{ActionError, ApiError, ConnectionInfo, forwarded, render};
use crate::access::{
    AccessControl, Asked, AuthenticationError, Caller, Grant, IssueError, Issued, Source,
};

/// The longest form, in bytes: tokens of other issuers can be long.
const LONGEST_FORM: usize = 128 * 1024;

/// What a token exchange (RFC 8693) calls itself.
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Where the public keys are, below the prefix of the API.
pub(super) const KEYS_PATH: &str = "/token/keys";

/// Answers a request for a token, and says who has got a token, if somebody has.
pub(super) async fn answer<B>(
    access: &AccessControl,
    config: &Config,
    head: &Parts,
    body: B,
    connection: &ConnectionInfo,
) -> (Result<Response<Body>, ApiError>, Option<Caller>)
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let challenger = Challenger { config, head };
    let asked = match head.method {
        Method::GET => get(access, config, head, connection).await,
        Method::POST => post(config, head, body, connection).await,
        _ => {
            let error = ApiError::from(ActionError::MethodNotAllowed("GET, POST"));
            return (Err(error), None);
        }
    };
    let issued = match asked {
        Ok(asked) => access.issue(asked).await,
        Err(AskError::Malformed(message)) => {
            return (Ok(refused(StatusCode::BAD_REQUEST, "invalid_request", message)), None);
        }
        Err(AskError::Issue(error)) => Err(error),
    };
    match issued {
        Ok(issued) => (render_token(&issued), Some(issued.caller)),
        Err(error) => (Ok(render_error(&challenger, &error)), None),
    }
}

/// Why nothing can be asked of the service.
enum AskError {
    Malformed(&'static str),
    Issue(IssueError),
}

impl From<AuthenticationError> for AskError {
    fn from(error: AuthenticationError) -> Self {
        Self::Issue(error.into())
    }
}

async fn get(
    access: &AccessControl,
    config: &Config,
    head: &Parts,
    connection: &ConnectionInfo,
) -> Result<Asked, AskError> {
    let query = Query::new(head.uri.query());
    let text = |name| query.first(name).map(std::borrow::Cow::into_owned);
    Ok(Asked {
        grant: Grant::Caller(gate::identify(access, config, head, connection).await?),
        service: text("service").filter(|service| !service.is_empty()),
        scopes: query.all("scope").map(std::borrow::Cow::into_owned).collect(),
        client: text("client_id").unwrap_or_default(),
        wants_refresh: text("offline_token").is_some_and(|wanted| wanted == "true"),
        source: Source(forwarded::client(&head.headers, connection, config)),
    })
}

async fn post<B>(
    config: &Config,
    head: &Parts,
    body: B,
    connection: &ConnectionInfo,
) -> Result<Asked, AskError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let body = Limited::new(body, LONGEST_FORM).collect().await;
    let body = body.map_err(|_| AskError::Malformed("the form is longer than 128 KiB"))?.to_bytes();
    let form = std::str::from_utf8(&body).map_err(|_| AskError::Malformed("it is no form"))?;
    let form = Query::new(Some(form));
    let text = |name| form.first(name).map(std::borrow::Cow::into_owned);
    let need = |name: &'static str, message| text(name).ok_or(AskError::Malformed(message));
    let grant = match text("grant_type").as_deref() {
        Some("password") => Grant::Password {
            name: need("username", "username is missing")?,
            password: need("password", "password is missing")?.into(),
        },
        Some("refresh_token") => {
            Grant::Refresh(need("refresh_token", "refresh_token is missing")?.into())
        }
        Some(EXCHANGE) => {
            Grant::Exchange(need("subject_token", "subject_token is missing")?.into())
        }
        _ => {
            return Err(AskError::Malformed(
                "grant_type must be password, refresh_token, or that of a token exchange",
            ));
        }
    };
    Ok(Asked {
        grant,
        service: text("service").filter(|service| !service.is_empty()),
        scopes: form.all("scope").map(std::borrow::Cow::into_owned).collect(),
        client: text("client_id").unwrap_or_default(),
        wants_refresh: text("access_type").is_some_and(|kind| kind == "offline"),
        source: Source(forwarded::client(&head.headers, connection, config)),
    })
}

fn render_token(issued: &Issued) -> Result<Response<Body>, ApiError> {
    let time = jiff::Timestamp::try_from(issued.issued).unwrap_or_default();
    let mut body = json!({
        "token": issued.token,
        "access_token": issued.token,
        "expires_in": issued.lifetime.as_secs(),
        "issued_at": time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "token_type": "Bearer",
        "scope": scopes(issued),
    });
    if let (Some(refresh), Some(body)) = (&issued.refresh, body.as_object_mut()) {
        body.insert("refresh_token".to_owned(), Value::from(refresh.expose()));
    }
    let mut response = render::json(StatusCode::OK, "application/json", &body)?;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// What the token is for, as OAuth 2 has it.
fn scopes(issued: &Issued) -> String {
    let entries = issued.access.0.iter();
    let texts = entries.map(|e| format!("{}:{}:{}", e.kind, e.name, e.actions.join(",")));
    texts.collect::<Vec<_>>().join(" ")
}

fn render_error(challenger: &Challenger<'_>, error: &IssueError) -> Response<Body> {
    let (status, code) = match error {
        IssueError::Service(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
        IssueError::Scope => (StatusCode::BAD_REQUEST, "invalid_scope"),
        IssueError::Refresh => (StatusCode::UNAUTHORIZED, "invalid_grant"),
        IssueError::Unavailable { .. }
        | IssueError::Authentication(AuthenticationError::Unavailable { .. }) => {
            (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
        }
        IssueError::Authentication(AuthenticationError::TooMany { .. }) => {
            (StatusCode::TOO_MANY_REQUESTS, "slow_down")
        }
        IssueError::Authentication(_) => (StatusCode::UNAUTHORIZED, "invalid_grant"),
    };
    if let IssueError::Unavailable { cause }
    | IssueError::Authentication(AuthenticationError::Unavailable { cause }) = error
    {
        tracing::error!(cause, "no token was issued");
    }
    let mut response = refused(status, code, &error.to_string());
    let headers = response.headers_mut();
    match error {
        IssueError::Authentication(AuthenticationError::TooMany { wait }) => {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        _ if status == StatusCode::UNAUTHORIZED => {
            headers.insert(WWW_AUTHENTICATE, challenger.password());
        }
        _ => {}
    }
    response
}

/// A refusal in the words of OAuth 2 and of registries: clients read one or the other.
fn refused(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let registry_code = match status {
        StatusCode::TOO_MANY_REQUESTS => ErrorCode::TooManyRequests,
        StatusCode::SERVICE_UNAVAILABLE => ErrorCode::Unavailable,
        StatusCode::BAD_REQUEST => ErrorCode::Unsupported,
        _ => ErrorCode::Unauthorized,
    };
    let body = json!({
        "error": code,
        "error_description": message,
        "errors": [{ "code": registry_code, "message": message }],
    });
    let response = render::json(status, "application/json", &body);
    response.unwrap_or_else(|error| render::error(&error))
}

/// Answers with the public keys.
pub(super) fn keys(access: &AccessControl, head: &Parts) -> Result<Response<Body>, ApiError> {
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return Err(ActionError::MethodNotAllowed("GET, HEAD").into());
    }
    match access.keys() {
        Some(keys) => render::json(StatusCode::OK, "application/jwk-set+json", &keys.jwks()),
        None => Err(ActionError::NotFound.into()),
    }
}
