//! Logins of every kind, and the life of a token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use berth_storage_backends::{BlobStore, StoreError};
use berth_test_stores::{FaultProxy, Swift};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::json;

use super::clusters::serve;
use super::{MINUTE, SEGMENT, SWIFT, open};
use crate::suite::fixtures::{begin, bytes, digest, read};

async fn check_error(store: &Arc<dyn BlobStore>) -> String {
    let error = store.check().await.unwrap_err();
    format!("{error}")
}

#[tokio::test]
async fn an_application_credential_opens_the_store() {
    let user = SWIFT.user();
    let mut settings = vec![
        ("username", "-"),
        ("password", "-"),
        ("domain", "-"),
        ("tenant", "-"),
        ("applicationcredentialid", &*user.credential_id),
        ("applicationcredentialsecret", &user.credential_secret),
    ];
    open(&SWIFT, &settings).check().await.unwrap();
    settings.pop();
    settings.push(("applicationcredentialsecret", "wrong"));
    let told = check_error(&open(&SWIFT, &settings)).await;
    assert!(told.contains("storage.swift.applicationcredentialsecret"), "{told}");
}

#[tokio::test]
async fn user_and_tenant_can_be_named_in_every_way() {
    let user = SWIFT.user();
    for settings in [
        &[("domain", "-"), ("domainid", "default")][..],
        &[("domain", "-")],
        &[("tenant", "-"), ("tenantid", &user.project_id)],
        &[("tenantdomain", "Default"), ("region", &user.region)],
        &[("tenantdomainid", "default"), ("endpointtype", "internal")],
        &[("authversion", "3"), ("authurl", user.auth_url.trim_end_matches("/v3"))],
        &[("authurl", &format!("{}/auth", user.auth_url))],
        // As files and variables have it.
        &[("password", &format!("{}\n", user.password))],
    ] {
        let checked = open(&SWIFT, settings).check().await;
        assert!(checked.is_ok(), "{settings:?}: {checked:?}");
    }
}

#[tokio::test]
async fn many_requests_wait_for_one_login() {
    let server = Swift::start().unwrap();
    let store = open(&server, &[]);
    let checks = (0..50).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.check().await })
    });
    for checked in join_all(checks).await {
        checked.unwrap().unwrap();
    }
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn many_requests_hear_of_one_login_that_failed() {
    let (url, logins) = serve(|_, _| (StatusCode::UNAUTHORIZED, vec![], String::new())).await;
    let store = open(&SWIFT, &[("authurl", &format!("{url}/v3"))]);
    let checks = (0..50).map(|_| store.check());
    for checked in join_all(checks).await {
        assert!(matches!(checked, Err(StoreError::Denied(_))), "{checked:?}");
    }
    assert_eq!(logins.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let server = Swift::start().unwrap();
    let life = Duration::from_secs(8);
    server.set_token_lifetime(life);
    let store = open(&server, &[]);
    let begun = Instant::now();
    store.check().await.unwrap();
    while server.logins() == 1 {
        store.check().await.unwrap();
        assert!(begun.elapsed() < MINUTE, "it is never renewed");
    }
    // It was given out after this, so it had not ended.
    assert!(begun.elapsed() < life, "it was renewed after {:?}", begun.elapsed());
}

#[tokio::test]
async fn an_upload_goes_on_when_its_tokens_are_revoked() {
    let server = Swift::start().unwrap();
    let store = open(&server, &[("chunksize", "1MiB")]);
    let content = bytes(1, 6 * SEGMENT);
    let (_, mut writer) = begin(&store).await;
    for chunk in 0..6 {
        writer.write(vec![content.slice(chunk * SEGMENT..(chunk + 1) * SEGMENT)]).await.unwrap();
        writer.sync().await.unwrap();
        server.revoke_tokens();
    }
    let location = writer.finish(&digest(&content)).await.unwrap().location;
    server.revoke_tokens();
    let blob = store.open(&digest(&content), &location).await.unwrap();
    assert_eq!(read(&blob).await, content);
    assert!(server.logins() >= 7, "{}", server.logins());
}

#[tokio::test]
async fn what_is_wrong_is_told_with_the_key_to_change() {
    let nowhere = "http://127.0.0.1:9/v3";
    for (settings, key, words) in [
        (("password", "wrong"), "storage.swift.password", "401"),
        (("tenant", "another"), "tenant", "401"),
        (("region", "elsewhere"), "storage.swift.region", "`elsewhere`, only in `RegionOne`"),
        (("authurl", nowhere), "storage.swift.authurl", nowhere),
        (
            ("authurl", &SWIFT.user().auth_url.replace("/v3", "/v2.0")),
            "storage.swift.authurl",
            "404",
        ),
    ] {
        let told = check_error(&open(&SWIFT, &[settings])).await;
        assert!(told.contains(key) && told.contains(words), "{settings:?}: {told}");
        assert!(!told.contains(&SWIFT.user().password), "{told}");
    }
}

/// Opens a container through a proxy: the login is Swift's own, at a server of the test's.
async fn open_through(proxy: &FaultProxy, container: &str) -> Arc<dyn BlobStore> {
    let (_, path) = SWIFT.endpoint().split_once("/v1/").unwrap();
    let store = format!("{}/v1/{path}", proxy.endpoint());
    let token = SWIFT.token();
    let (url, _) = serve(move |request, _| {
        let header = |name: &str| request.headers().get(name).and_then(|text| text.to_str().ok());
        if (header("x-auth-user"), header("x-auth-key")) != (Some("account:user"), Some("key")) {
            return (StatusCode::UNAUTHORIZED, vec![], String::new());
        }
        let headers = vec![("x-auth-token", token.clone()), ("x-storage-url", store.clone())];
        (StatusCode::OK, headers, String::new())
    })
    .await;
    let auth = format!("{url}/auth/v1.0");
    let settings = [
        ("authurl", &*auth),
        ("username", "account:user"),
        ("password", "key"),
        ("container", container),
        ("chunksize", "1MiB"),
    ];
    open(&SWIFT, &settings)
}

#[tokio::test]
async fn swift_s_own_login_opens_the_store() {
    let proxy = FaultProxy::start(SWIFT.endpoint()).unwrap();
    open_through(&proxy, "version one").await.check().await.unwrap();
    assert!(!proxy.requests().is_empty());
}

#[tokio::test]
async fn keystone_s_version_two_opens_the_store() {
    let (store, token) = (SWIFT.endpoint().to_owned(), SWIFT.token());
    let (url, requests) = serve(move |_, _| {
        let endpoint = json!({"region": "RegionOne", "publicURL": store});
        let catalog = json!([{"type": "object-store", "endpoints": [endpoint]}]);
        let token = json!({"id": token, "expires": "2099-01-01T00:00:00Z"});
        let body = json!({"access": {"token": token, "serviceCatalog": catalog}});
        (StatusCode::OK, vec![], body.to_string())
    })
    .await;
    let auth = format!("{url}/v2.0");
    open(&SWIFT, &[("authurl", &auth)]).check().await.unwrap();
    assert_eq!(*requests.lock().unwrap(), [(Method::POST, "/v2.0/tokens".to_owned())]);
}
