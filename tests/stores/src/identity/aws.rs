//! What Amazon has on the way to a key: the metadata of a machine (version 2), the credentials of a container and of a
//! pod, and the Security Token Service.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::body::Body;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use serde_json::json;

use super::{header, in_so_long};
use crate::S3Access;
use crate::host::{self, Host};
use crate::tls::Certificate;
use crate::xml::Query;

/// The token of a session with the metadata service.
const SESSION: &str = "berth-metadata-session";
/// What the pod shows.
const POD_TOKEN: &str = "berth-pod-token";
const ROLE: &str = "berth-role";
const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/berth-role";
/// Where a machine finds its zone, which is its region and a letter.
const ZONE_PATH: &str = "/latest/meta-data/placement/availability-zone";
const REGION: &str = "eu-central-1";
/// Where a container finds its credentials, at an address that is the same everywhere.
const CONTAINER_HOST: &str = "169.254.170.2";
const CONTAINER_PATH: &str = "/v2/credentials/berth";
const POD_PATH: &str = "/v1/credentials";

/// A temporary key.
#[derive(Clone, Debug)]
pub struct AwsKey {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// What goes with each request that it signs.
    pub session_token: String,
    /// How long it is said to be good, from when it is given out.
    pub lifetime: Duration,
}

impl AwsKey {
    /// The key that a store takes.
    #[must_use]
    pub fn of(access: &S3Access, session_token: &str, lifetime: Duration) -> Self {
        Self {
            id: access.access_key.clone(),
            secret: access.secret_key.clone(),
            session_token: session_token.to_owned(),
            lifetime,
        }
    }
}

/// The services of Amazon's that give out keys: the Security Token Service over TLS, the others without.
#[derive(Debug)]
pub struct AwsIdentity {
    plain: Host,
    sts: Host,
    certificate: Certificate,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    key: AwsKey,
    given: usize,
}

impl AwsIdentity {
    /// Starts the services, which give out this key.
    ///
    /// # Errors
    ///
    /// No port is free, or no certificate can be made.
    pub fn start(key: AwsKey) -> Result<Self> {
        let certificate = Certificate::new()?;
        let state = Arc::new(Mutex::new(State { key, given: 0 }));
        let serving = Arc::clone(&state);
        let plain = Host::serve(move |request| {
            let answer = lock(&serving).answer(&request.into_parts().0);
            async move { answer }
        })?;
        let serving = Arc::clone(&state);
        let sts = Host::serve_tls(&certificate, move |request: Request<Body>| {
            let answer = lock(&serving).assume_role(&request.into_parts().0);
            async move { answer }
        })?;
        Ok(Self { plain, sts, certificate, state })
    }

    /// From now on another key is given out.
    pub fn give(&self, key: AwsKey) {
        *lock(&self.state) = State { key, given: 0 };
    }

    /// How often this key was given out.
    pub fn given(&self) -> usize {
        lock(&self.state).given
    }

    /// `http://127.0.0.1:PORT` of the metadata service. As a proxy it also has the container's address behind it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.plain.address())
    }

    /// What a container asks for at its fixed address.
    pub fn container_path(&self) -> &'static str {
        CONTAINER_PATH
    }

    /// Where a pod asks, showing [`pod_token`](Self::pod_token).
    pub fn pod_endpoint(&self) -> String {
        format!("{}{POD_PATH}", self.endpoint())
    }

    /// What a pod shows, at its own place and at the Security Token Service.
    pub fn pod_token(&self) -> &'static str {
        POD_TOKEN
    }

    /// `https://127.0.0.1:PORT` of the Security Token Service.
    pub fn sts_endpoint(&self) -> String {
        format!("https://{}", self.sts.address())
    }

    /// The role that the Security Token Service knows.
    pub fn role_arn(&self) -> &'static str {
        ROLE_ARN
    }

    /// The file of the authority that vouches for the Security Token Service.
    pub fn authority(&self) -> PathBuf {
        self.certificate.authority()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn answer(&mut self, head: &Parts) -> Response<Body> {
        let machine = header(head, "x-aws-ec2-metadata-token") == SESSION;
        let host = head.uri.host().unwrap_or_default();
        let folder = "/latest/meta-data/iam/security-credentials/";
        match (&head.method, head.uri.path()) {
            // <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html>
            (&Method::PUT, "/latest/api/token") => {
                match header(head, "x-aws-ec2-metadata-token-ttl-seconds").parse::<u32>() {
                    Ok(_) => host::text(StatusCode::OK, SESSION),
                    Err(_) => host::text(StatusCode::BAD_REQUEST, "for how long?"),
                }
            }
            (&Method::GET, path) if path == folder && machine => host::text(StatusCode::OK, ROLE),
            (&Method::GET, ZONE_PATH) if machine => {
                host::text(StatusCode::OK, &format!("{REGION}a"))
            }
            (&Method::GET, path) if path.strip_prefix(folder) == Some(ROLE) && machine => {
                self.document()
            }
            // <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html>
            (&Method::GET, CONTAINER_PATH) if host == CONTAINER_HOST => self.document(),
            // <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>
            (&Method::GET, POD_PATH) if header(head, "authorization") == POD_TOKEN => {
                self.document()
            }
            _ => host::text(StatusCode::UNAUTHORIZED, "not for you"),
        }
    }

    fn document(&mut self) -> Response<Body> {
        self.given += 1;
        let key = &self.key;
        let document = json!({
            "Code": "Success",
            "AccessKeyId": key.id,
            "SecretAccessKey": key.secret,
            "Token": key.session_token,
            "Expiration": in_so_long(key.lifetime),
        });
        host::text(StatusCode::OK, &document.to_string())
    }

    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>
    fn assume_role(&mut self, head: &Parts) -> Response<Body> {
        let query = Query::new(head.uri.query().unwrap_or_default());
        let asked = [("Action", "AssumeRoleWithWebIdentity"), ("Version", "2011-06-15")];
        let shown = [("RoleArn", ROLE_ARN), ("WebIdentityToken", POD_TOKEN)];
        let is = |(name, value): &(&str, &str)| query.get(name) == Some(*value);
        if head.method != Method::POST || !asked.iter().all(is) {
            return host::text(StatusCode::BAD_REQUEST, "InvalidAction");
        }
        if !shown.iter().all(is) || query.get("RoleSessionName").is_none() {
            return host::text(StatusCode::FORBIDDEN, "AccessDenied");
        }
        self.given += 1;
        let AwsKey { id, secret, session_token, lifetime } = &self.key;
        let until = in_so_long(*lifetime);
        let document = format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{id}</AccessKeyId>\
             <SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{session_token}</SessionToken>\
             <Expiration>{until}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
             </AssumeRoleWithWebIdentityResponse>"
        );
        host::text(StatusCode::OK, &document)
    }
}
