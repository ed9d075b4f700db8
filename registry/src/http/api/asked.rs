//! What commands ask of the API, and what they are answered.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LINK};
use http::{HeaderValue, Request};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::problem::Cause;
use super::{Api, Call, Origin};
use crate::Registry;
use crate::access::administration::Asker;

/// A request to the API for accounts and grants, made by whoever runs commands on this machine.
#[derive(Clone, Serialize, Deserialize)]
pub struct ApiRequest {
    /// `GET` and so on.
    pub method: String,
    /// The path and the query: `/api/v1/...`.
    pub target: String,
    /// The body, where there is one.
    pub body: Option<Value>,
}

impl fmt::Debug for ApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A body can hold a password.
        write!(f, "ApiRequest({} {})", self.method, self.target)
    }
}

/// What the API answers.
#[derive(Clone, Serialize, Deserialize)]
pub struct ApiAnswer {
    /// The status.
    pub status: u16,
    /// The target of the next page of a list.
    pub next: Option<String>,
    /// The body, `null` where there is none.
    pub body: Value,
}

impl fmt::Debug for ApiAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A body can hold a token.
        write!(f, "ApiAnswer({})", self.status)
    }
}

impl ApiRequest {
    /// Has the API answer it.
    pub(crate) async fn carry_out(self, registry: Arc<Registry>) -> ApiAnswer {
        let Some(call) = self.into_call() else {
            return ApiAnswer::failed("the request is malformed");
        };
        let response = Api::new(registry).answer(call).await;
        let (head, body) = response.into_parts();
        if let Some(Cause(cause)) = head.extensions.get() {
            return ApiAnswer::failed(cause);
        }
        let next = head.headers.get(LINK).and_then(|link| next_page(link.to_str().ok()?));
        // The body is in memory already.
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        ApiAnswer { status: head.status.as_u16(), next, body }
    }

    fn into_call(self) -> Option<Call> {
        let request = Request::builder().method(self.method.as_str()).uri(self.target);
        let (mut request, ()) = request.body(()).ok()?.into_parts();
        let body = match self.body {
            Some(body) => {
                let json = HeaderValue::from_static("application/json");
                request.headers.insert(CONTENT_TYPE, json);
                Bytes::from(serde_json::to_vec(&body).ok()?)
            }
            None => Bytes::new(),
        };
        let (prefix, origin) = (String::new(), Origin::default());
        Some(Call { asker: Asker::Operator, request, body, prefix, origin })
    }
}

impl ApiAnswer {
    fn failed(detail: &str) -> Self {
        Self { status: 500, next: None, body: serde_json::json!({ "detail": detail }) }
    }
}

/// The target of `<target>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    link.strip_prefix('<')?.split_once('>').map(|(target, _)| target.to_owned())
}
