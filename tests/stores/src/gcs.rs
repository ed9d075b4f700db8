//! Google Cloud Storage, in this process: no emulator speaks the multipart part of the XML API that clients use.
//!
//! Calls are those of [`xml`](crate::xml), by path (`/BUCKET/OBJECT`). Every request needs one of
//! - a bearer token: the one that [`Gcs::token`] tells, or a JWT that is signed with the service account's key and has
//!   not expired (<https://google.aip.dev/auth/4111>);
//! - a signed URL of version 4 (`GOOG4-RSA-SHA256`) whose signature and time are checked. Its host may be
//!   `storage.googleapis.com`, for which `object_store` signs whatever its base URL is.
//!
//! It also answers as the metadata server of a machine, for the token, the account's address, and the project.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use aws_lc_rs::{digest, encoding};
use axum::body::Body;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::host::{self, Host};
use crate::xml::{self, Dialect, Objects, Query, Refusal};

const BUCKET: &str = "berth";
const EMAIL: &str = "berth@berth-tests.iam.gserviceaccount.com";
const TOKEN: &str = "berth-access-token";
const SIGNED_HOST: &str = "storage.googleapis.com";

/// What stays as it is in a canonical query.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A Cloud Storage server with one bucket.
#[derive(Debug)]
pub struct Gcs {
    host: Host,
    state: Arc<State>,
    service_account: String,
}

#[derive(Debug)]
struct State {
    objects: Mutex<Objects>,
    token: Mutex<String>,
    public_key: Vec<u8>,
}

impl Gcs {
    /// Starts a server, and makes a service account with a key of its own.
    ///
    /// # Errors
    ///
    /// No port is free, or no key can be made.
    pub fn start() -> Result<Self> {
        let key = KeyPair::generate(KeySize::Rsa2048).ok().context("cannot make a key")?;
        let state = Arc::new(State {
            objects: Mutex::default(),
            token: Mutex::new(TOKEN.to_owned()),
            public_key: key.public_key().as_ref().to_vec(),
        });
        let serving = Arc::clone(&state);
        let host = Host::serve(move |request| {
            let state = Arc::clone(&serving);
            async move { answer(&state, request).await }
        })?;
        let service_account = service_account(&key)?;
        Ok(Self { host, state, service_account })
    }

    /// `http://127.0.0.1:PORT`, which also is the address of the metadata server.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.host.address())
    }

    /// The bucket that exists.
    pub fn bucket(&self) -> &str {
        BUCKET
    }

    /// The key file of the service account, in JSON.
    pub fn service_account(&self) -> &str {
        &self.service_account
    }

    /// The bearer token that is accepted, and that the metadata server gives out.
    pub fn token(&self) -> String {
        self.state.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on another token is accepted and given out: those before have expired.
    pub fn rotate_token(&self) {
        self.state.token.lock().unwrap_or_else(PoisonError::into_inner).push('x');
    }

    /// How many multipart uploads have not ended.
    pub fn uploads(&self) -> usize {
        self.state.objects.lock().unwrap_or_else(PoisonError::into_inner).uploads.len()
    }

    /// The keys of all objects, in order.
    pub fn keys(&self) -> Vec<String> {
        let objects = self.state.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.objects.keys().cloned().collect()
    }
}

fn service_account(key: &KeyPair) -> Result<String> {
    let key: encoding::Pkcs8V1Der<'_> = key.as_der().ok().context("cannot encode the key")?;
    let text = BASE64_STANDARD.encode(key.as_ref());
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    let account = json!({
        "type": "service_account",
        "project_id": "berth-tests",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": EMAIL,
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    Ok(account.to_string())
}

async fn answer(state: &State, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    if head.uri.path().starts_with("/computeMetadata/") {
        return metadata(state, &head);
    }
    if let Err(refusal) = state.admit(&head) {
        // A client that is told so while it still sends may not hear it.
        let _ = body.collect().await;
        return refusal.answer();
    }
    let Ok(body) = body.collect().await else {
        return Refusal::invalid("the body broke off").answer();
    };
    match xml::address(head.uri.path(), BUCKET) {
        Ok(key) => {
            let mut objects = state.objects.lock().unwrap_or_else(PoisonError::into_inner);
            xml::handle(Dialect::Gcs, BUCKET, &mut objects, key, &head, body.to_bytes())
        }
        Err(refusal) => refusal.answer(),
    }
}

/// <https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys>
fn metadata(state: &State, head: &Parts) -> Response<Body> {
    let flavor = head.headers.get("metadata-flavor").map(|flavor| flavor.as_bytes());
    if flavor != Some(b"Google") {
        return host::text(StatusCode::FORBIDDEN, "Metadata-Flavor: Google is missing");
    }
    let path = head.uri.path().trim_start_matches("/computeMetadata/v1/");
    let text = match path {
        "instance/service-accounts/default/token" => {
            let token = state.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
            json!({"access_token": token, "expires_in": 3600, "token_type": "Bearer"}).to_string()
        }
        "instance/service-accounts/default/email" => EMAIL.to_owned(),
        "project/project-id" => "berth-tests".to_owned(),
        _ => return host::text(StatusCode::NOT_FOUND, "no such key"),
    };
    let mut answer = host::text(StatusCode::OK, &text);
    answer.headers_mut().insert("metadata-flavor", http::HeaderValue::from_static("Google"));
    answer
}

impl State {
    fn admit(&self, head: &Parts) -> Result<(), Refusal> {
        let query = Query::new(head.uri.query().unwrap_or(""));
        if query.get("X-Goog-Signature").is_some() {
            return self.check_url(head, &query);
        }
        let bearer = head.headers.get("authorization").and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
        let known = bearer.is_some_and(|bearer| {
            *self.token.lock().unwrap_or_else(PoisonError::into_inner) == bearer
                || self.is_signed_token(bearer).is_some()
        });
        if known {
            return Ok(());
        }
        let status = StatusCode::UNAUTHORIZED;
        Err(Refusal::new(status, "AuthenticationRequired", "Authentication required."))
    }

    /// A JWT with our key, for now.
    fn is_signed_token(&self, token: &str) -> Option<()> {
        let (text, signature) = token.rsplit_once('.')?;
        let claims = text.split_once('.')?.1;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.verify(text.as_bytes(), &signature)?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let expires = claims.get("exp")?.as_u64()?;
        let now = SystemTime::UNIX_EPOCH.elapsed().ok()?.as_secs();
        (claims.get("iss")? == EMAIL && now < expires).then_some(())
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> Option<()> {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public_key);
        key.verify(text, signature).ok()
    }

    /// <https://cloud.google.com/storage/docs/authentication/signatures>
    fn check_url(&self, head: &Parts, query: &Query) -> Result<(), Refusal> {
        let need =
            |name| query.get(name).ok_or_else(|| Refusal::invalid(format!("{name} is missing")));
        let (date, lives) = (need("X-Goog-Date")?, need("X-Goog-Expires")?);
        let made = Timestamp::strptime("%Y%m%dT%H%M%S%z", date.replace('Z', "+0000"));
        let made = made.map_err(|_| Refusal::invalid("X-Goog-Date is no time"))?;
        let lives = lives.parse().map_err(|_| Refusal::invalid("X-Goog-Expires is no number"))?;
        if SystemTime::now() > SystemTime::from(made) + Duration::from_secs(lives) {
            let message = "The provided token has expired.";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "ExpiredToken", message));
        }
        let scope = need("X-Goog-Credential")?.split_once('/').map(|(_, scope)| scope);
        let scope = scope.ok_or_else(|| Refusal::invalid("X-Goog-Credential has no scope"))?;
        let signature = hex::decode(need("X-Goog-Signature")?).unwrap_or_default();
        let names = need("X-Goog-SignedHeaders")?;
        let own = head.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("");
        let signed = [own, SIGNED_HOST].into_iter().any(|host| {
            let request = canonical(head, query, names, host);
            let hash = hex::encode(digest::digest(&digest::SHA256, request.as_bytes()));
            let text = format!("GOOG4-RSA-SHA256\n{date}\n{scope}\n{hash}");
            self.verify(text.as_bytes(), &signature).is_some()
        });
        if signed {
            return Ok(());
        }
        let message = "The request signature we calculated does not match the one you provided.";
        Err(Refusal::new(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message))
    }
}

/// <https://cloud.google.com/storage/docs/authentication/canonical-requests>
fn canonical(head: &Parts, query: &Query, names: &str, host: &str) -> String {
    let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let pairs = query.pairs().iter().filter(|(name, _)| name != "X-Goog-Signature");
    let mut pairs: Vec<_> =
        pairs.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.sort_unstable();
    let mut headers = String::new();
    for name in names.split(';') {
        let value = if name == "host" { host.to_owned() } else { joined(&head.headers, name) };
        headers.push_str(&format!("{name}:{value}\n"));
    }
    let (method, path, query) = (&head.method, head.uri.path(), pairs.join("&"));
    format!("{method}\n{path}\n{query}\n{headers}\n{names}\nUNSIGNED-PAYLOAD")
}

fn joined(headers: &HeaderMap, name: &str) -> String {
    let values: Vec<_> = headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
    values.join(",").split_whitespace().collect::<Vec<_>>().join(" ")
}
