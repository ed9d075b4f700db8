//! Alibaba Cloud OSS, in this process.
//!
//! Calls are those of [`xml`](crate::xml), by path (`/BUCKET/OBJECT`) or by host (`BUCKET.HOST`). The signature of
//! every request is checked, of version 1 or 4, in the header or in the URL, and so is the clock. The
//! key may be a temporary one, whose token every request must have. Not there: version 2.

mod signature;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::Result;
use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt as _;

use self::signature::{Key, Signed};
use crate::host::Host;
use crate::xml::{self, Dialect, Objects, Query, Refusal};

const BUCKET: &str = "berth";

/// An OSS server with one bucket.
#[derive(Debug)]
pub struct Oss {
    host: Host,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    objects: Mutex<Objects>,
    key: Key,
}

impl Oss {
    /// Starts a server.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub fn start() -> Result<Self> {
        Self::start_for("")
    }

    /// Starts a server whose one key is temporary.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub fn start_for_temporary_key() -> Result<Self> {
        Self::start_for("berth-security-token")
    }

    fn start_for(token: &str) -> Result<Self> {
        let key = Key {
            token: token.to_owned(),
            id: "berth-access-key".to_owned(),
            secret: "berth-secret-key".to_owned(),
            region: "cn-hangzhou".to_owned(),
        };
        let state = Arc::new(State { objects: Mutex::default(), key });
        let serving = Arc::clone(&state);
        let host = Host::serve(move |request| {
            let state = Arc::clone(&serving);
            async move { state.answer(request).await }
        })?;
        Ok(Self { host, state })
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.host.address())
    }

    /// The bucket that exists.
    pub fn bucket(&self) -> &str {
        BUCKET
    }

    /// The region that requests of version 4 are signed for.
    pub fn region(&self) -> &str {
        &self.state.key.region
    }

    /// The id of the one key.
    pub fn access_key(&self) -> &str {
        &self.state.key.id
    }

    /// Its secret.
    pub fn secret_key(&self) -> &str {
        &self.state.key.secret
    }

    /// What goes with each request that it signs; empty unless it is a temporary one.
    pub fn security_token(&self) -> &str {
        &self.state.key.token
    }

    /// How many multipart uploads have not ended.
    pub fn uploads(&self) -> usize {
        self.state.objects().uploads.len()
    }

    /// The keys of all objects, in order.
    pub fn keys(&self) -> Vec<String> {
        self.state.objects().objects.keys().cloned().collect()
    }
}

impl State {
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let host = head.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("");
        let path = match host.strip_prefix(BUCKET) {
            Some(rest) if rest.starts_with('.') => format!("/{BUCKET}{}", head.uri.path()),
            _ => head.uri.path().to_owned(),
        };
        let query = Query::new(head.uri.query().unwrap_or_default());
        let signed = Signed { head: &head, resource: &xml::decode(&path), query: &query };
        let admitted = signed.check(&self.key, SystemTime::now());
        // A client that is told so while it still sends may not hear it.
        let body = body.collect().await;
        let key = match admitted.and_then(|()| xml::address(&path, BUCKET)) {
            Ok(key) => key,
            Err(refusal) => return refusal.answer(),
        };
        match body {
            Ok(body) => {
                let body = body.to_bytes();
                xml::handle(Dialect::Oss, BUCKET, &mut self.objects(), key, &head, body)
            }
            Err(_) => Refusal::invalid("the body broke off").answer(),
        }
    }
}
