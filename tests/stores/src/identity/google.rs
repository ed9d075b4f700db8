//! What Google has on the way from another identity to a token: the Security Token Service and the credentials of
//! service accounts; and beside them an issuer of that other identity.
//!
//! <https://google.aip.dev/auth/4117>

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::body::Body;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{AwsIdentity, header, in_so_long};
use crate::host::{self, Host};
use crate::xml::Query;

const AUDIENCE: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/berth/providers/tests";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const AWS_REQUEST: &str = "urn:ietf:params:aws:token-type:aws4_request";
const PROOF: &str = "berth.subject+token/=";
/// What the issuer wants to see.
const ISSUER_SECRET: &str = "berth-issuer-secret";
/// What is exchanged for the proof where a service account is to be used.
const FEDERATED: &str = "berth-federated-token";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_PATH: &str = "/v1/token";
/// Where the token is good for nothing but to act as a service account.
const FEDERATED_PATH: &str = "/v1/federated/token";
const ACCOUNT_PATH: &str =
    "/v1/projects/-/serviceAccounts/berth@berth-tests.iam.gserviceaccount.com:generateAccessToken";

/// The services of Google's that give out tokens for identities of others.
#[derive(Debug)]
pub struct GoogleIdentity {
    host: Host,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    token: String,
    lifetime: Duration,
    given: usize,
    /// The key that the proof of a machine of Amazon's must be signed with.
    aws_key: Option<String>,
}

impl GoogleIdentity {
    /// Starts the services, which give out this token and say that it lives so long.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub fn start(token: &str, lifetime: Duration) -> Result<Self> {
        let (token, aws_key) = (token.to_owned(), None);
        let state = Arc::new(Mutex::new(State { token, lifetime, given: 0, aws_key }));
        let serving = Arc::clone(&state);
        let host = Host::serve(move |request: Request<Body>| {
            let serving = Arc::clone(&serving);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                lock(&serving).answer(&head, &String::from_utf8_lossy(&body))
            }
        })?;
        Ok(Self { host, state })
    }

    /// How often the token was given out.
    pub fn given(&self) -> usize {
        lock(&self.state).given
    }

    /// The proof of the other identity.
    pub fn proof(&self) -> &'static str {
        PROOF
    }

    /// Where the issuer of the other identity gives out the proof, in JSON, to who shows what it wants.
    pub fn issuer(&self) -> Value {
        json!({
            "url": format!("{}/issuer", self.endpoint()),
            "headers": {"x-issuer-secret": ISSUER_SECRET},
            "format": {"type": "json", "subject_token_field_name": "id_token"},
        })
    }

    /// A credentials file with the proof from such a source.
    pub fn document(&self, source: &Value) -> Value {
        json!({
            "type": "external_account",
            "audience": AUDIENCE,
            "subject_token_type": JWT,
            "token_url": format!("{}{TOKEN_PATH}", self.endpoint()),
            "credential_source": source,
        })
    }

    /// The same by way of a service account.
    pub fn impersonating(&self, source: &Value) -> Value {
        let mut document = self.document(source);
        document["token_url"] = format!("{}{FEDERATED_PATH}", self.endpoint()).into();
        document["service_account_impersonation_url"] =
            format!("{}{ACCOUNT_PATH}", self.endpoint()).into();
        document["service_account_impersonation"] = json!({"token_lifetime_seconds": 1200});
        document
    }

    /// A credentials file for a machine of Amazon's, which signs with the key that its metadata service gives out.
    pub fn of_amazon(&self, machine: &AwsIdentity, key: &str) -> Value {
        lock(&self.state).aws_key = Some(key.to_owned());
        let metadata = format!("{}/latest", machine.endpoint());
        let mut document = self.document(&json!({
            "environment_id": "aws1",
            "region_url": format!("{metadata}/meta-data/placement/availability-zone"),
            "url": format!("{metadata}/meta-data/iam/security-credentials/"),
            "imdsv2_session_token_url": format!("{metadata}/api/token"),
            "regional_cred_verification_url":
                "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
        }));
        document["subject_token_type"] = AWS_REQUEST.into();
        document
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.host.address())
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn answer(&mut self, head: &Parts, body: &str) -> Response<Body> {
        match (&head.method, head.uri.path()) {
            (&Method::GET, "/issuer") if header(head, "x-issuer-secret") == ISSUER_SECRET => {
                host::text(StatusCode::OK, &json!({"id_token": PROOF}).to_string())
            }
            (&Method::POST, TOKEN_PATH) => {
                let token = self.token.clone();
                self.exchange(&Query::new(body), &token)
            }
            (&Method::POST, FEDERATED_PATH) => self.exchange(&Query::new(body), FEDERATED),
            (&Method::POST, ACCOUNT_PATH) => self.impersonate(head, body),
            (_, path) => host::text(StatusCode::NOT_FOUND, &format!("nothing is at {path}")),
        }
    }

    /// <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>
    fn exchange(&mut self, form: &Query, token: &str) -> Response<Body> {
        let is = |name: &str, value: &str| form.get(name) == Some(value);
        let asked = is("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            && is("requested_token_type", "urn:ietf:params:oauth:token-type:access_token")
            && is("audience", AUDIENCE)
            && is("scope", SCOPE);
        let proof = form.get("subject_token").unwrap_or_default();
        let proved = match form.get("subject_token_type") {
            Some(JWT) => proof == PROOF,
            Some(AWS_REQUEST) => self.is_of_amazon(proof).is_some(),
            _ => false,
        };
        if !asked || !proved {
            let told =
                json!({"error": "invalid_grant", "error_description": "The proof is not good."});
            return host::text(StatusCode::BAD_REQUEST, &format!("{told:#}"));
        }
        self.given += 1;
        let told = json!({
            "access_token": token,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": self.lifetime.as_secs(),
        });
        host::text(StatusCode::OK, &told.to_string())
    }

    /// <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>
    fn impersonate(&self, head: &Parts, body: &str) -> Response<Body> {
        let asked: Value = serde_json::from_str(body).unwrap_or_default();
        if asked != json!({"scope": [SCOPE], "lifetime": "1200s"}) {
            return host::text(StatusCode::BAD_REQUEST, "for what, and for how long?");
        }
        if header(head, "authorization") != format!("Bearer {FEDERATED}") {
            let told = json!({"error": {"code": 403, "message": "The caller may not act as the account."}});
            return host::text(StatusCode::FORBIDDEN, &told.to_string());
        }
        let told = json!({"accessToken": self.token, "expireTime": in_so_long(self.lifetime)});
        host::text(StatusCode::OK, &told.to_string())
    }

    /// Whether a proof is a question to Amazon's Security Token Service as Google wants it: signed, and for nobody
    /// else's use.
    fn is_of_amazon(&self, proof: &str) -> Option<()> {
        let question = percent_decode_str(proof).decode_utf8().ok()?;
        let question: Value = serde_json::from_str(&question).ok()?;
        let header = |name: &str| {
            let headers = question["headers"].as_array()?;
            headers.iter().find(|header| header["key"] == name)?["value"].as_str()
        };
        let signature = header("Authorization")?;
        let signed =
            "SignedHeaders=host;x-amz-date;x-amz-security-token;x-goog-cloud-target-resource, ";
        let url =
            "https://sts.eu-central-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";
        let is_asked = question["url"] == url
            && question["method"] == "POST"
            && header("host")? == "sts.eu-central-1.amazonaws.com"
            && header("x-goog-cloud-target-resource")? == AUDIENCE;
        let key = format!("AWS4-HMAC-SHA256 Credential={}/", self.aws_key.as_deref()?);
        let scope = "/eu-central-1/sts/aws4_request, ";
        let is_signed =
            signature.starts_with(&key) && signature.contains(scope) && signature.contains(signed);
        (is_asked && is_signed).then_some(())
    }
}
