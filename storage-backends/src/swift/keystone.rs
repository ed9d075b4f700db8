use std::time::{Duration, Instant};

use async_trait::async_trait;
use berth_config::{Secret, Swift};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request};
use object_store::client::{HttpRequest, HttpRequestBody};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::catalogue::{self, Address, V2, V3};
use super::sessions::Session;
use crate::objects::{Authorize, ObjectError, Rest, failed, unanswered};
use crate::transport::Transport;

/// How tokens are asked for.
#[derive(Debug)]
pub(super) struct Login {
    rest: Rest<Nobody>,
    settings: Swift,
    protocol: Protocol,
    /// Where the request for a token goes.
    url: String,
}

/// The protocols that give tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// Swift's own, of TempAuth and others.
    V1,
    /// Keystone's, until 2017.
    V2,
    /// Keystone's.
    V3,
}

/// A login is its own proof.
#[derive(Debug)]
struct Nobody;

#[async_trait]
impl Authorize for Nobody {
    async fn authorize(&self, _request: &mut HttpRequest) -> Result<(), ObjectError> {
        Ok(())
    }
}

impl Login {
    pub(super) fn new(settings: &Swift, transport: &Transport) -> object_store::Result<Self> {
        let (protocol, url) =
            endpoint(settings.authurl.as_deref().unwrap_or_default(), settings.authversion);
        let rest = Rest::new(Nobody, transport)?;
        Ok(Self { rest, settings: settings.clone(), protocol, url })
    }

    /// Gets a token.
    ///
    /// # Errors
    /// With the key of the settings that would have to change.
    pub(super) async fn log_in(&self) -> Result<Session, ObjectError> {
        let asked = Instant::now();
        match self.protocol {
            Protocol::V1 => self.v1(asked).await,
            Protocol::V2 => self.v2(asked).await,
            Protocol::V3 => self.v3(asked).await,
        }
    }

    async fn v1(&self, asked: Instant) -> Result<Session, ObjectError> {
        let user = header("username", self.settings.username.as_deref())?;
        let mut key = header("password", self.settings.password.as_ref().map(Secret::expose))?;
        key.set_sensitive(true);
        let request = Request::builder()
            .uri(&self.url)
            .header("x-auth-user", user)
            .header("x-auth-key", key)
            .body(HttpRequestBody::empty())
            .map_err(failed)?;
        let (headers, _) = self.ask(request).await?;
        let token = headers.get("x-auth-token").or_else(|| headers.get("x-storage-token"));
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let (Some(token), Some(store)) = (token, text("x-storage-url")) else {
            return Err(self.strange("it has no X-Auth-Token or no X-Storage-Url"));
        };
        let lives = text("x-auth-token-expires").and_then(|seconds| seconds.parse().ok());
        let lives = lives.map(Duration::from_secs);
        Ok(Session::new(token.clone(), store.trim_end_matches('/').to_owned(), asked, lives))
    }

    async fn v2(&self, asked: Instant) -> Result<Session, ObjectError> {
        let (_, answer) = self.ask(self.post(&v2_body(&self.settings))?).await?;
        let answer: V2 = self.parse(&answer)?;
        let token = HeaderValue::try_from(answer.token()).map_err(failed)?;
        let lives = answer.lifetime();
        Ok(Session::new(token, self.store(&answer.addresses())?, asked, lives))
    }

    async fn v3(&self, asked: Instant) -> Result<Session, ObjectError> {
        let (headers, answer) = self.ask(self.post(&v3_body(&self.settings))?).await?;
        let Some(token) = headers.get("x-subject-token") else {
            return Err(self.strange("it has no X-Subject-Token"));
        };
        let answer: V3 = self.parse(&answer)?;
        let lives = answer.lifetime();
        Ok(Session::new(token.clone(), self.store(&answer.addresses())?, asked, lives))
    }

    fn store(&self, addresses: &[Address]) -> Result<String, ObjectError> {
        catalogue::choose(addresses, self.settings.region.as_deref(), self.settings.endpointtype)
    }

    fn post(&self, body: &Value) -> Result<HttpRequest, ObjectError> {
        Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .body(HttpRequestBody::from(body.to_string()))
            .map_err(failed)
    }

    async fn ask(&self, request: HttpRequest) -> Result<(HeaderMap, Vec<u8>), ObjectError> {
        let answer = self.rest.send(request).await.map_err(|error| self.explain(error))?;
        let (head, body) = answer.into_parts();
        Ok((head.headers, body.bytes().await.map_err(unanswered)?.into()))
    }

    fn parse<T: DeserializeOwned>(&self, answer: &[u8]) -> Result<T, ObjectError> {
        serde_json::from_slice(answer).map_err(|error| self.strange(&error.to_string()))
    }

    fn strange(&self, what: &str) -> ObjectError {
        ObjectError::Failed(format!(
            "storage.swift.authurl: what {} answers is not a token ({what}): check the URL, and storage.swift.authversion",
            self.url
        ))
    }

    fn explain(&self, error: ObjectError) -> ObjectError {
        let keys = match self.settings.applicationcredentialid {
            Some(_) => {
                "storage.swift.applicationcredentialid and storage.swift.applicationcredentialsecret"
            }
            None => "storage.swift.username and storage.swift.password, or the domain and tenant",
        };
        let url = &self.url;
        match error {
            ObjectError::Denied(text) => {
                let text = in_words(&text);
                ObjectError::Denied(format!("{keys}: {url} refuses them: {text}"))
            }
            ObjectError::NotFound(text) => ObjectError::Failed(format!(
                "storage.swift.authurl: there are no tokens at {url}: check the URL, and storage.swift.authversion: {text}"
            )),
            ObjectError::Failed(text) | ObjectError::Exists(text) => {
                let text = in_words(&text);
                ObjectError::Failed(format!("storage.swift.authurl: no token from {url}: {text}"))
            }
            ObjectError::Down => error,
        }
    }
}

/// The protocol, and the URL of the request for a token.
///
/// `registry:2` takes `…/v2.0` and `…/v3`, and documents `…/v3/auth`. A URL that names no version is
/// that of a Keystone, and what is there today speaks version 3.
fn endpoint(url: &str, version: Option<u32>) -> (Protocol, String) {
    let url = url.trim_end_matches('/');
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    let named = |version: &str| {
        let is_it = |part: &str| part == version || part.starts_with(&format!("{version}."));
        path.split('/').skip(1).any(is_it)
    };
    let base = |end: &[&str]| {
        let cut = end.iter().fold(url, |url, end| url.strip_suffix(end).unwrap_or(url));
        cut.to_owned()
    };
    let (v1, v2, v3) = (named("v1"), named("v2"), named("v3"));
    match version {
        Some(1) => (Protocol::V1, url.to_owned()),
        None if v1 && !v2 && !v3 => (Protocol::V1, url.to_owned()),
        Some(2) => {
            let versioned = if v2 { base(&["/tokens"]) } else { format!("{url}/v2.0") };
            (Protocol::V2, format!("{versioned}/tokens"))
        }
        None if v2 && !v3 => (Protocol::V2, format!("{}/tokens", base(&["/tokens"]))),
        _ => {
            let versioned = if v3 { base(&["/tokens", "/auth"]) } else { format!("{url}/v3") };
            (Protocol::V3, format!("{versioned}/auth/tokens"))
        }
    }
}

fn v2_body(settings: &Swift) -> Value {
    let mut auth = json!({"passwordCredentials": {
        "username": settings.username,
        "password": settings.password.as_ref().map(Secret::expose),
    }});
    let scope = [
        ("tenantId", &settings.tenantid),
        ("tenantName", &settings.tenant),
        ("trust_id", &settings.trustid),
    ];
    for (key, value) in scope {
        if let Some(value) = value {
            auth[key] = json!(value);
        }
    }
    json!({ "auth": auth })
}

fn v3_body(settings: &Swift) -> Value {
    if let Some(id) = &settings.applicationcredentialid {
        let secret = settings.applicationcredentialsecret.as_ref().map(Secret::expose);
        // It brings its project along.
        return json!({"auth": {"identity": {
            "methods": ["application_credential"],
            "application_credential": {"id": id, "secret": secret},
        }}});
    }
    let user = json!({
        "name": settings.username,
        "domain": user_domain(settings),
        "password": settings.password.as_ref().map(Secret::expose),
    });
    let mut auth = json!({"identity": {"methods": ["password"], "password": {"user": user}}});
    if let Some(scope) = v3_scope(settings) {
        auth["scope"] = scope;
    }
    json!({ "auth": auth })
}

/// What the token is for; without one it is the project that Keystone has the user in.
fn v3_scope(settings: &Swift) -> Option<Value> {
    if let Some(id) = &settings.trustid {
        return Some(json!({"OS-TRUST:trust": {"id": id}}));
    }
    if let Some(id) = &settings.tenantid {
        return Some(json!({"project": {"id": id}}));
    }
    let name = settings.tenant.as_ref()?;
    let domain = domain(settings.tenantdomainid.as_ref(), settings.tenantdomain.as_ref())
        .unwrap_or_else(|| user_domain(settings));
    Some(json!({"project": {"name": name, "domain": domain}}))
}

/// A name needs a domain; a Keystone without others has the one of this ID.
fn user_domain(settings: &Swift) -> Value {
    domain(settings.domainid.as_ref(), settings.domain.as_ref())
        .unwrap_or_else(|| json!({"id": "default"}))
}

fn domain(id: Option<&String>, name: Option<&String>) -> Option<Value> {
    id.map(|id| json!({ "id": id })).or_else(|| name.map(|name| json!({ "name": name })))
}

/// A text of the settings as a header.
fn header(key: &str, value: Option<&str>) -> Result<HeaderValue, ObjectError> {
    HeaderValue::try_from(value.unwrap_or_default()).map_err(|_| {
        let reason = "it has characters that cannot be in a request of version 1";
        ObjectError::Denied(format!("storage.swift.{key}: {reason}"))
    })
}

/// Puts Keystone's own message in place of the JSON that it is in.
fn in_words(text: &str) -> String {
    let message = |json: &str| {
        let json: Value = serde_json::from_str(json).ok()?;
        Some(json["error"]["message"].as_str()?.to_owned())
    };
    match text.find('{').map(|start| text.split_at(start)) {
        Some((before, json)) => match message(json) {
            Some(message) => format!("{before}{message}"),
            None => text.to_owned(),
        },
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swift() -> Swift {
        Swift {
            username: Some("user".to_owned()),
            password: Some(Secret::from("pass".to_owned())),
            ..Swift::default()
        }
    }

    #[test]
    fn the_url_says_the_version_unless_the_settings_do() {
        let cases = [
            ("https://k/v3", None, Protocol::V3, "https://k/v3/auth/tokens"),
            ("https://k/v3/auth/", None, Protocol::V3, "https://k/v3/auth/tokens"),
            ("https://k/v3/auth/tokens", Some(3), Protocol::V3, "https://k/v3/auth/tokens"),
            ("https://k:5000", None, Protocol::V3, "https://k:5000/v3/auth/tokens"),
            ("https://v1.k/identity", None, Protocol::V3, "https://v1.k/identity/v3/auth/tokens"),
            ("https://k/v2.0/", None, Protocol::V2, "https://k/v2.0/tokens"),
            ("https://k/v2.0/tokens", None, Protocol::V2, "https://k/v2.0/tokens"),
            ("https://k", Some(2), Protocol::V2, "https://k/v2.0/tokens"),
            ("https://s/auth/v1.0", None, Protocol::V1, "https://s/auth/v1.0"),
            ("https://s/auth", Some(1), Protocol::V1, "https://s/auth"),
        ];
        for (url, version, protocol, tokens) in cases {
            assert_eq!(endpoint(url, version), (protocol, tokens.to_owned()), "{url}");
        }
    }

    #[test]
    fn a_tenant_is_in_the_user_s_domain_unless_it_has_its_own() {
        let text = |text: &str| Some(text.to_owned());
        let scope = |settings: Swift| v3_scope(&settings);
        assert_eq!(scope(swift()), None);
        let named = |domain: Value| Some(json!({"project": {"name": "t", "domain": domain}}));
        let tenant = Swift { tenant: text("t"), ..swift() };
        assert_eq!(scope(tenant.clone()), named(json!({"id": "default"})));
        let domained = Swift { domain: text("d"), ..tenant };
        assert_eq!(scope(domained.clone()), named(json!({"name": "d"})));
        let own = Swift { tenantdomainid: text("own"), ..domained };
        assert_eq!(scope(own.clone()), named(json!({"id": "own"})));
        let by_id = Swift { tenantid: text("id"), ..own };
        assert_eq!(scope(by_id.clone()), Some(json!({"project": {"id": "id"}})));
        let trusted = Swift { trustid: text("trust"), ..by_id };
        assert_eq!(scope(trusted), Some(json!({"OS-TRUST:trust": {"id": "trust"}})));
    }

    #[test]
    fn a_login_says_who_berth_is() {
        let body = v3_body(&Swift { domainid: Some("d".to_owned()), ..swift() });
        let user = json!({"name": "user", "domain": {"id": "d"}, "password": "pass"});
        assert_eq!(body["auth"]["identity"]["password"]["user"], user);
        assert!(body["auth"].get("scope").is_none());
        let body = v2_body(&Swift { tenant: Some("t".to_owned()), ..swift() });
        let expected = json!({"auth": {
            "passwordCredentials": {"username": "user", "password": "pass"}, "tenantName": "t"}});
        assert_eq!(body, expected);
    }

    #[test]
    fn keystone_s_words_are_told_without_the_json() {
        let told = "POST /v3/auth/tokens: 401 Unauthorized: {\"error\": {\"message\": \"No.\"}}";
        assert_eq!(in_words(told), "POST /v3/auth/tokens: 401 Unauthorized: No.");
        assert_eq!(in_words("GET /: 400: {half"), "GET /: 400: {half");
    }
}
