//! Clusters that differ from the one that is started here.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use berth_oci::UploadId;
use berth_storage_backends::{BlobStore, StoreError};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{MINUTE, SEGMENT, SWIFT, open};
use crate::suite::fixtures::{begin, bytes, digest, stale};

pub type Requests = Arc<std::sync::Mutex<Vec<(Method, String)>>>;

/// A server that answers as a function of the request says; gives its URL and the requests that it
/// got.
pub async fn serve<A>(answer: A) -> (String, Requests)
where
    A: Fn(&Request, &str) -> (StatusCode, Vec<(&'static str, String)>, String),
    A: Clone + Send + Sync + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests::default();
    let (own, seen) = (url.clone(), Arc::clone(&requests));
    let handler = move |request: Request| {
        seen.lock().unwrap().push((request.method().clone(), request.uri().to_string()));
        let (status, headers, body) = answer(&request, &own);
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        std::future::ready(response.body(Body::from(body)).unwrap())
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
    (url, requests)
}

/// A cluster that takes anything and says of itself what it is told to.
async fn cluster(info: Value) -> Arc<dyn BlobStore> {
    let (url, _) = serve(move |request, own| {
        let (path, store) = (request.uri().path(), format!("{own}/v1/AUTH_a"));
        let headers = vec![("x-auth-token", "token".to_owned()), ("x-storage-url", store)];
        let body = if path == "/info" { info.to_string() } else { String::new() };
        (StatusCode::OK, headers, body)
    })
    .await;
    let auth = format!("{url}/auth/v1.0");
    let settings = [("authurl", &*auth), ("chunksize", "1MiB"), ("secretkey", "key")];
    open(&SWIFT, &settings)
}

#[tokio::test]
async fn a_blob_has_no_more_segments_than_the_cluster_takes() {
    let store = cluster(json!({"slo": {"max_manifest_segments": 3}})).await;
    let (_, mut writer) = begin(&store).await;
    writer.write(vec![bytes(11, 3 * SEGMENT)]).await.unwrap();
    writer.sync().await.unwrap();
    let written = writer.write(vec![bytes(11, 3 * SEGMENT)]).await;
    let error = written.and(writer.sync().await.map(|_| ())).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { limit } if limit == 3 << 20), "{error:?}");
}

#[tokio::test]
async fn a_cluster_without_large_objects_or_temporary_urls_is_told_so() {
    let store = cluster(json!({"swift": {}})).await;
    let (_, mut writer) = begin(&store).await;
    let written = writer.write(vec![bytes(12, 3 * SEGMENT)]).await.unwrap_err();
    assert!(written.to_string().contains("no static large objects"), "{written}");
    let address = store.presign(&digest(b""), "1:berth/blobs/a:0", MINUTE).await.unwrap();
    assert_eq!(address, None);
}

/// As Ceph has it: its listings tell the size of the manifest. A blob is known by its size too.
#[tokio::test]
async fn a_large_object_is_as_large_as_its_segments_whatever_the_listing_says() {
    let id = UploadId::random();
    let (url, _) = serve(move |request, own| {
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let headers = match request.method() == Method::HEAD {
            true => vec![("content-length", "5000000".to_owned())],
            false => vec![
                ("x-auth-token", "token".to_owned()),
                ("x-storage-url", format!("{own}/v1/AUTH_a")),
            ],
        };
        let is_first = path.ends_with("/berth") && query.ends_with("marker=");
        let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix="));
        let name = prefix.unwrap_or_default().replace("%2F", "/");
        let entry = |name: String, kind: &str| {
            json!({"name": name, "bytes": 700, "last_modified": "2013-11-19T20:08:13.283452",
                   "content_type": kind, "hash": "00"})
        };
        let body = match is_first && name.ends_with("berth/blobs/") {
            true => json!([
                entry(format!("{name}{id}.a"), "application/octet-stream;kind=segments"),
                entry(format!("{name}{id}.b"), "application/octet-stream"),
            ]),
            false => json!([]),
        };
        (StatusCode::OK, headers, body.to_string())
    })
    .await;
    let store = open(&SWIFT, &[("authurl", &format!("{url}/auth/v1.0"))]);
    let found = stale(&store, SystemTime::now()).await;
    let prefixes: Vec<_> = found.into_iter().filter_map(|one| one.location_prefix).collect();
    let expected = [format!("5000000:berth/blobs/{id}.a:"), format!("700:berth/blobs/{id}.b:")];
    assert_eq!(prefixes, expected);
}
