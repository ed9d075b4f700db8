//! Swift by its own protocol: what the tests of our driver take for granted.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use berth_test_stores::{Swift, SwiftUser};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

struct Case {
    server: Swift,
    client: Client,
}

impl Case {
    fn new() -> Self {
        Self { server: Swift::start().unwrap(), client: Client::new() }
    }

    async fn log_in(&self, auth: Value) -> Response {
        let url = format!("{}/auth/tokens", self.server.user().auth_url);
        self.client.post(url).json(&auth).send().await.unwrap()
    }

    async fn send(&self, method: Method, path: &str, token: &str, body: &str) -> Response {
        let url = format!("{}/{}{path}", self.server.endpoint(), self.server.container());
        let request = self.client.request(method, url).header("x-auth-token", token);
        request.body(body.to_owned()).send().await.unwrap()
    }
}

fn by_password(user: &SwiftUser, password: &str) -> Value {
    let domain = json!({"name": user.domain});
    let named = json!({"name": user.user, "domain": domain, "password": password});
    json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": named}},
        "scope": {"project": {"name": user.project, "domain": domain}},
    }})
}

#[tokio::test]
async fn swift_takes_the_token_of_a_login_by_password() {
    let case = Case::new();
    let user = case.server.user();
    let answer = case.log_in(by_password(&user, "wrong")).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let answer = case.log_in(by_password(&user, &user.password)).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let token = answer.headers()["x-subject-token"].to_str().unwrap().to_owned();
    let token_of: Value = answer.json().await.unwrap();
    let endpoint = &token_of["token"]["catalog"][0]["endpoints"][0];
    assert_eq!(endpoint["url"], case.server.endpoint());
    assert_eq!(case.server.logins(), 1);

    let put = case.send(Method::PUT, "/a/b", &token, "0123456789").await;
    assert_eq!(put.status(), StatusCode::CREATED);
    let get = case.send(Method::GET, "/a/b", &token, "").await;
    assert_eq!(get.text().await.unwrap(), "0123456789");
    let listed = case.send(Method::GET, "?prefix=a/", &token, "").await;
    assert_eq!(listed.text().await.unwrap(), "a/b\n");

    case.server.revoke_tokens();
    let get = case.send(Method::GET, "/a/b", &token, "").await;
    assert_eq!(get.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn swift_takes_the_token_of_an_application_credential() {
    let case = Case::new();
    let user = case.server.user();
    let credential = json!({"id": user.credential_id, "secret": user.credential_secret});
    let identity =
        json!({"methods": ["application_credential"], "application_credential": credential});
    let answer = case.log_in(json!({"auth": {"identity": identity}})).await;
    let token = answer.headers()["x-subject-token"].to_str().unwrap().to_owned();
    let head = case.send(Method::HEAD, "", &token, "").await;
    assert_eq!(head.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn segments_become_a_large_object() {
    let case = Case::new();
    let token = case.server.token();
    let container = case.server.container();
    let mut manifest = Vec::new();
    for (name, text) in [("s/1", "hello "), ("s/2", "world")] {
        let put = case.send(Method::PUT, &format!("/{name}"), &token, text).await;
        let etag = put.headers()["etag"].to_str().unwrap().to_owned();
        manifest.push(json!({
            "path": format!("/{container}/{name}"), "etag": etag, "size_bytes": text.len(),
        }));
    }
    let manifest = Value::from(manifest).to_string();
    let put = case.send(Method::PUT, "/whole?multipart-manifest=put", &token, &manifest).await;
    assert_eq!(put.status(), StatusCode::CREATED);
    let whole = case.send(Method::GET, "/whole", &token, "").await;
    assert_eq!(whole.text().await.unwrap(), "hello world");
    let gone = case.send(Method::DELETE, "/whole?multipart-manifest=delete", &token, "").await;
    assert_eq!(gone.status(), StatusCode::OK);
    let left = case.send(Method::GET, "?prefix=s/", &token, "").await;
    assert_eq!(left.status(), StatusCode::NO_CONTENT);
}
