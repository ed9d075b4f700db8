//! What Alibaba Cloud has on the way to a key: an address of credentials, the RAM role of a machine, and the Security
//! Token Service for pods (RRSA).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use axum::body::Body;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::{header, in_so_long};
use crate::Oss;
use crate::host::{self, Host};
use crate::xml::Query;

/// The token of a session with the metadata service.
const SESSION: &str = "berth-metadata-session";
const POD_TOKEN: &str = "berth-pod-token";
const ROLE: &str = "berth-role";
const ROLE_ARN: &str = "acs:ram::1234567890123456:role/berth-role";
const PROVIDER_ARN: &str = "acs:ram::1234567890123456:oidc-provider/berth-cluster";
const CREDENTIALS_PATH: &str = "/credentials";
const LIFETIME: Duration = Duration::from_secs(3600);

/// The services of Alibaba Cloud's that give out keys.
#[derive(Debug)]
pub struct AliyunIdentity {
    host: Host,
    given: Arc<AtomicUsize>,
}

impl AliyunIdentity {
    /// Starts the services, which give out the store's key.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub fn start(store: &Oss) -> Result<Self> {
        let given = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&given);
        let (id, secret) = (store.access_key().to_owned(), store.secret_key().to_owned());
        let token = store.security_token().to_owned();
        let host = Host::serve(move |request: Request<Body>| {
            let key = json!({
                "Code": "Success",
                "AccessKeyId": id,
                "AccessKeySecret": secret,
                "SecurityToken": token,
                "Expiration": in_so_long(LIFETIME),
            });
            let answer = answer(&request.into_parts().0, key, &counted);
            async move { answer }
        })?;
        Ok(Self { host, given })
    }

    /// How often the key was given out.
    pub fn given(&self) -> usize {
        self.given.load(Ordering::Relaxed)
    }

    /// `http://127.0.0.1:PORT` of the metadata service and the Security Token Service.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.host.address())
    }

    /// The address at which credentials are for anyone who asks.
    pub fn credentials_uri(&self) -> String {
        format!("{}{CREDENTIALS_PATH}", self.endpoint())
    }

    /// The role that the Security Token Service knows.
    pub fn role_arn(&self) -> &'static str {
        ROLE_ARN
    }

    /// The cluster whose pods may have it.
    pub fn provider_arn(&self) -> &'static str {
        PROVIDER_ARN
    }

    /// What a pod shows.
    pub fn pod_token(&self) -> &'static str {
        POD_TOKEN
    }
}

fn answer(head: &Parts, key: Value, given: &AtomicUsize) -> Response<Body> {
    let give = |document: Value| {
        given.fetch_add(1, Ordering::Relaxed);
        host::text(StatusCode::OK, &document.to_string())
    };
    let machine = header(head, "x-aliyun-ecs-metadata-token") == SESSION;
    let folder = "/latest/meta-data/ram/security-credentials/";
    match (&head.method, head.uri.path()) {
        // <https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata>
        (&Method::PUT, "/latest/api/token") => {
            match header(head, "x-aliyun-ecs-metadata-token-ttl-seconds").parse::<u32>() {
                Ok(_) => host::text(StatusCode::OK, SESSION),
                Err(_) => host::text(StatusCode::BAD_REQUEST, "for how long?"),
            }
        }
        (&Method::GET, path) if path == folder && machine => host::text(StatusCode::OK, ROLE),
        (&Method::GET, path) if path.strip_prefix(folder) == Some(ROLE) && machine => give(key),
        (&Method::GET, CREDENTIALS_PATH) => give(key),
        // <https://www.alibabacloud.com/help/en/ram/developer-reference/api-sts-2015-04-01-assumerolewithoidc>
        (_, "/") if is_pod(&Query::new(head.uri.query().unwrap_or_default())) => {
            give(json!({"Credentials": key}))
        }
        _ => host::text(StatusCode::FORBIDDEN, "not for you"),
    }
}

fn is_pod(query: &Query) -> bool {
    let shown = [
        ("Action", "AssumeRoleWithOIDC"),
        ("OIDCProviderArn", PROVIDER_ARN),
        ("RoleArn", ROLE_ARN),
        ("OIDCToken", POD_TOKEN),
    ];
    shown.iter().all(|(name, value)| query.get(name) == Some(*value))
}
