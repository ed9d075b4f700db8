//! The OSS server by its own protocol, signed here.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::time::SystemTime;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use berth_test_stores::Oss;
use reqwest::{Client, Method, RequestBuilder, StatusCode};

struct Case {
    server: Oss,
    client: Client,
}

impl Case {
    fn new() -> Self {
        Self { server: Oss::start().unwrap(), client: Client::new() }
    }

    /// A request signed with version 1; all of `query` is to be signed, in order.
    fn request(&self, method: Method, key: &str, query: &str) -> RequestBuilder {
        self.signed(method, key, query, self.server.secret_key(), "")
    }

    fn signed(
        &self,
        method: Method,
        key: &str,
        query: &str,
        secret: &str,
        forbid: &str,
    ) -> RequestBuilder {
        let date = httpdate::fmt_http_date(SystemTime::now());
        let resource = format!("/{}/{key}{query}", self.server.bucket());
        let own = if forbid.is_empty() {
            String::new()
        } else {
            format!("x-oss-forbid-overwrite:{forbid}\n")
        };
        let text = format!("{method}\n\n\n{date}\n{own}{resource}");
        let secret = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        let signature = BASE64_STANDARD.encode(hmac::sign(&secret, text.as_bytes()));
        let request = self.client.request(method, format!("{}{resource}", self.server.endpoint()));
        let request = request
            .header("date", date)
            .header("authorization", format!("OSS {}:{signature}", self.server.access_key()));
        if forbid.is_empty() { request } else { request.header("x-oss-forbid-overwrite", forbid) }
    }
}

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

async fn text(request: RequestBuilder) -> String {
    request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
}

#[tokio::test]
async fn an_object_is_put_read_listed_and_deleted() {
    let case = Case::new();
    assert_eq!(status(case.request(Method::PUT, "a/b", "").body("0123456789")).await, 200);
    let range = case.request(Method::GET, "a/b", "").header("range", "bytes=2-4");
    assert_eq!(text(range).await, "234");
    // Version 1 does not sign these parameters.
    let mut list = case.request(Method::GET, "", "").build().unwrap();
    list.url_mut().set_query(Some("list-type=2&prefix=a/"));
    let listed = case.client.execute(list).await.unwrap().text().await.unwrap();
    assert!(listed.contains("<Key>a/b</Key>"), "{listed}");
    assert_eq!(status(case.request(Method::DELETE, "a/b", "")).await, 204);
    assert_eq!(status(case.request(Method::DELETE, "a/b", "")).await, 204);
    assert_eq!(status(case.request(Method::GET, "a/b", "")).await, 404);
}

#[tokio::test]
async fn a_wrong_secret_is_refused() {
    let case = Case::new();
    let put = case.signed(Method::PUT, "a", "", "wrong", "").body("x").send().await.unwrap();
    assert_eq!(put.status(), 403);
    assert!(put.text().await.unwrap().contains("SignatureDoesNotMatch"));
    let unsigned =
        case.client.get(format!("{}/{}/a", case.server.endpoint(), case.server.bucket()));
    assert_eq!(status(unsigned).await, 403);
    assert!(case.server.keys().is_empty());
}

#[tokio::test]
async fn an_object_is_not_overwritten_when_that_is_forbidden() {
    let case = Case::new();
    let secret = case.server.secret_key();
    let put = || case.signed(Method::PUT, "a", "", secret, "true").body("x");
    assert_eq!(status(put()).await, 200);
    assert_eq!(status(put()).await, 409);
}

#[tokio::test]
async fn parts_become_an_object_and_unfinished_uploads_are_listed() {
    let case = Case::new();
    let id = initiate(&case).await;
    let abandoned = initiate(&case).await;
    let mut parts = String::new();
    for (number, body) in [(1, vec![7; 100 << 10]), (2, b"end".to_vec())] {
        let query = format!("?partNumber={number}&uploadId={id}");
        let put = case.request(Method::PUT, "big", &query).body(body).send().await.unwrap();
        let etag = put.headers()["etag"].to_str().unwrap().to_owned();
        parts.push_str(&format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        ));
    }
    let parts = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    let complete = case.request(Method::POST, "big", &format!("?uploadId={id}")).body(parts);
    assert_eq!(status(complete).await, 200);
    let head = case.request(Method::HEAD, "big", "").send().await.unwrap();
    assert_eq!(head.headers()["content-length"], ((100 << 10) + 3).to_string().as_str());
    let uploads = text(case.request(Method::GET, "", "?uploads")).await;
    assert!(uploads.contains(&abandoned) && !uploads.contains(&id), "{uploads}");
    let abort = case.request(Method::DELETE, "big", &format!("?uploadId={abandoned}"));
    assert_eq!(status(abort).await, 204);
    assert_eq!(case.server.uploads(), 0);
}

async fn initiate(case: &Case) -> String {
    let answer = text(case.request(Method::POST, "big", "?uploads")).await;
    let id = answer.split("<UploadId>").nth(1).unwrap();
    id.split('<').next().unwrap().to_owned()
}
