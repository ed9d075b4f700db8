//! The client against registries that ask for things, lead elsewhere and break off.

#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use berth_client::{
    ClientError, ClientOptions, Credentials, ManifestAnswer, OptionsError, Password, RegistryClient,
};
use berth_oci::{Algorithm, Digest, Hasher, Reference, RepositoryName};

/// What a server was asked: method, path with query, and the `Authorization`.
type Asked = (String, String, Option<String>);

/// A server that answers as it is told, and remembers what it was asked.
struct Scripted {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    async fn start(
        answer: impl Fn(&Asked) -> Response<Body> + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let remembered = asked.clone();
        let router = router(move |request| {
            let shown = request.headers().get("authorization");
            let shown = shown.map(|shown| shown.to_str().unwrap().to_owned());
            let target = request.uri().path_and_query().unwrap().to_string();
            let asked = (request.method().to_string(), target, shown);
            remembered.lock().unwrap().push(asked.clone());
            answer(&asked)
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    fn client(&self, options: ClientOptions) -> RegistryClient {
        let url = format!("http://{}", self.address).parse().unwrap();
        RegistryClient::new(url, options).unwrap()
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn count(&self, path: &str) -> usize {
        self.asked().iter().filter(|(_, target, _)| target.starts_with(path)).count()
    }
}

fn router(answer: impl Fn(&Request) -> Response<Body> + Clone + Send + Sync + 'static) -> Router {
    Router::new().fallback(move |request: Request| {
        let answer = answer.clone();
        async move { Ok::<_, Infallible>(answer(&request)) }
    })
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

fn password(username: &str, password: &str) -> ClientOptions {
    let password = Password { username: username.to_owned(), password: password.to_owned() };
    ClientOptions { credentials: Credentials::Password(password), ..ClientOptions::default() }
}

fn repository() -> RepositoryName {
    "team/app".parse().unwrap()
}

fn tag() -> Reference {
    "v1".parse().unwrap()
}

fn digest() -> Digest {
    Hasher::digest(Algorithm::Sha256, b"content")
}

/// A registry that wants a token `good-N`, where N counts from 1 and `current` is the only one that is good.
fn token_registry(
    asked: &Asked,
    realm: &str,
    current: &Mutex<usize>,
    lifetime: u64,
) -> Response<Body> {
    let (_, target, shown) = asked;
    if target.starts_with("/token") {
        let mut current = current.lock().unwrap();
        *current += 1;
        let body = format!(r#"{{"token":"good-{current}","expires_in":{lifetime}}}"#);
        return answer(200, &[], body);
    }
    let current = current.lock().unwrap();
    if shown.as_deref() == Some(&format!("Bearer good-{current}")) {
        return answer(
            200,
            &[("content-type", "application/vnd.oci.image.manifest.v1+json; x=y")],
            "{}",
        );
    }
    let challenge =
        format!(r#"Bearer realm="{realm}",service="s",scope="repository:team/app:pull""#);
    answer(401, &[("www-authenticate", &challenge)], "")
}

async fn with_tokens(lifetime: u64) -> (Scripted, Arc<Mutex<usize>>) {
    let current = Arc::new(Mutex::new(0));
    let counted = current.clone();
    // The address is known when the first request comes.
    let place: Arc<Mutex<String>> = Arc::default();
    let realm = place.clone();
    let server = Scripted::start(move |asked| {
        let realm = realm.lock().unwrap().clone();
        token_registry(asked, &realm, &counted, lifetime)
    })
    .await;
    *place.lock().unwrap() = format!("http://{}/token", server.address);
    (server, current)
}

#[tokio::test]
async fn many_requests_share_one_token_and_the_password_goes_to_the_token_service_alone() {
    let (server, _) = with_tokens(300).await;
    let client = server.client(password("me", "mine"));
    let (repository, tag) = (repository(), tag());
    let heads = (0..20).map(|_| client.manifest_head(&repository, &tag));
    for head in futures_util::future::join_all(heads).await {
        let head = head.unwrap();
        assert_eq!(head.media_type.as_deref(), Some("application/vnd.oci.image.manifest.v1+json"));
    }
    assert_eq!(server.count("/token"), 1);
    for (_, target, shown) in server.asked() {
        let is_password = shown.is_some_and(|shown| shown.starts_with("Basic "));
        assert_eq!(is_password, target.starts_with("/token"), "{target}");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_or_over_is_fetched_anew() {
    let (server, current) = with_tokens(300).await;
    let client = server.client(password("me", "mine"));
    client.manifest_head(&repository(), &tag()).await.unwrap();
    // Revoked: the next one is number 3.
    *current.lock().unwrap() += 1;
    client.manifest_head(&repository(), &tag()).await.unwrap();
    assert_eq!(server.count("/token"), 2);

    let (server, _) = with_tokens(0).await;
    let client = server.client(ClientOptions::default());
    for _ in 0..3 {
        client.manifest_head(&repository(), &tag()).await.unwrap();
    }
    assert!(server.count("/token") >= 3, "a token that is over is good for no second request");
}

#[tokio::test]
async fn a_token_service_of_another_server_gets_nothing_unless_it_is_named() {
    let elsewhere = Scripted::start(|_| answer(200, &[], r#"{"token":"good-1"}"#)).await;
    let realm = format!("http://{}/token", elsewhere.address);
    let current = Arc::new(Mutex::new(1));
    let server = Scripted::start(move |asked| token_registry(asked, &realm, &current, 300)).await;
    let client = server.client(password("me", "mine"));
    let error = client.manifest_head(&repository(), &tag()).await.unwrap_err();
    assert!(matches!(error, ClientError::UntrustedRealm { .. }), "{error}");
    assert!(error.to_string().contains(&elsewhere.address.to_string()), "{error}");
    assert_eq!(elsewhere.asked(), []);

    let realms = vec![elsewhere.address.to_string()];
    let client = server.client(ClientOptions { realms, ..password("me", "mine") });
    client.manifest_head(&repository(), &tag()).await.unwrap();
    assert_eq!(elsewhere.asked().len(), 1);
}

#[tokio::test]
async fn what_is_shown_to_the_registry_does_not_follow_to_another_server() {
    let elsewhere = Scripted::start(|_| answer(200, &[], "content")).await;
    let target = format!("http://{}/object?signature=hidden", elsewhere.address);
    let server = Scripted::start(move |(_, _, shown)| match shown {
        None => answer(401, &[("www-authenticate", "Basic realm=x")], ""),
        Some(_) => answer(307, &[("location", &target)], ""),
    })
    .await;
    let client = server.client(password("me", "mine"));
    let mut blob = client.blob(&repository(), &digest(), 0).await.unwrap();
    assert_eq!(blob.next().await.unwrap(), Some(Bytes::from_static(b"content")));
    let asked = elsewhere.asked();
    let shown: Vec<_> = asked.iter().map(|(_, target, shown)| (target.as_str(), shown)).collect();
    assert_eq!(shown, [("/object?signature=hidden", &None)]);
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn answers_of_failure_are_told_apart() {
    let error = r#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#;
    for (status, headers, outage, says) in [
        (404, &[][..], false, "has no manifest v1 in team/app"),
        (403, &[], false, "not for you"),
        (401, &[], false, "not for you"),
        (429, &[("retry-after", "7")], true, "no more requests"),
        (500, &[], true, "500"),
        (503, &[], true, "503"),
        (418, &[], true, "418"),
        (302, &[("location", "ftp://nowhere/")], true, "is not followed"),
        (302, &[("location", "/v2/team/app/manifests/v1")], true, "without an end"),
    ] {
        let server = Scripted::start(move |_| answer(status, headers, error)).await;
        let client = server.client(ClientOptions::default());
        let failed = client.manifest(&repository(), &tag(), None, 1000).await.unwrap_err();
        assert!(failed.to_string().contains(says), "{status}: {failed}");
        assert_eq!(failed.is_outage(), outage, "{failed}");
        if let ClientError::TooManyRequests { retry_after, .. } = failed {
            assert_eq!(retry_after, Some(Duration::from_secs(7)));
        }
    }
}

#[tokio::test]
async fn a_registry_that_does_not_answer_or_stalls_is_given_up() {
    // It takes connections, and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    let options = || ClientOptions {
        answer_timeout: Duration::from_millis(50),
        stall_timeout: Duration::from_millis(50),
        ..ClientOptions::default()
    };
    let client = RegistryClient::new(url, options()).unwrap();
    let error = client.manifest_head(&repository(), &tag()).await.unwrap_err();
    assert!(error.to_string().contains("did not answer within 50ms"), "{error}");

    let server = Scripted::start(|_| {
        let begin = futures_util::stream::iter([Ok::<_, Infallible>("beginning")]);
        let body = futures_util::StreamExt::chain(begin, futures_util::stream::pending());
        answer(200, &[("content-length", "100")], Body::from_stream(body))
    })
    .await;
    let mut blob = server.client(options()).blob(&repository(), &digest(), 0).await.unwrap();
    assert_eq!(blob.size(), Some(100));
    assert_eq!(blob.next().await.unwrap(), Some(Bytes::from_static(b"beginning")));
    let error = blob.next().await.unwrap_err();
    assert!(error.to_string().contains("nothing came for 50ms"), "{error}");

    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let url = format!("http://{closed}").parse().unwrap();
    let client = RegistryClient::new(url, ClientOptions::default()).unwrap();
    let error = client.manifest_head(&repository(), &tag()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unavailable { .. }) && error.is_outage(), "{error}");
}

#[tokio::test]
async fn a_blob_is_read_from_any_byte_on_where_the_registry_knows_ranges() {
    let ranges = Scripted::start(|_| {
        answer(206, &[("content-range", "bytes 3-6/7"), ("content-length", "4")], "tent")
    })
    .await;
    let client = ranges.client(ClientOptions::default());
    let mut blob = client.blob(&repository(), &digest(), 3).await.unwrap();
    assert_eq!((blob.offset(), blob.size()), (3, Some(7)));
    assert_eq!(blob.next().await.unwrap(), Some(Bytes::from_static(b"tent")));
    assert_eq!((blob.offset(), blob.next().await.unwrap()), (7, None));
    // Another part than was asked for is nonsense.
    let error = client.blob(&repository(), &digest(), 2).await.unwrap_err();
    assert!(matches!(error, ClientError::Nonsense { .. }), "{error}");

    let whole = Scripted::start(|_| answer(200, &[("content-length", "7")], "content")).await;
    let client = whole.client(ClientOptions::default());
    let blob = client.blob(&repository(), &digest(), 3).await.unwrap();
    assert_eq!((blob.offset(), blob.size()), (0, Some(7)));
}

#[tokio::test]
async fn a_known_manifest_is_not_sent_again_and_a_long_one_is_not_read() {
    let server = Scripted::start(|_| answer(304, &[], "")).await;
    let client = server.client(ClientOptions::default());
    let known = client.manifest(&repository(), &tag(), Some(&digest()), 1000).await.unwrap();
    assert_eq!(known, ManifestAnswer::Unchanged);

    let server = Scripted::start(|_| answer(200, &[], vec![b' '; 2000])).await;
    let client = server.client(ClientOptions::default());
    let error = client.manifest(&repository(), &tag(), None, 1000).await.unwrap_err();
    assert!(error.to_string().contains("longer than 1000 bytes"), "{error}");
}

#[tokio::test]
async fn a_password_in_plain_text_is_for_this_machine_alone() {
    let client = |url: &str, options| RegistryClient::new(url.parse().unwrap(), options);
    let refused = client("http://registry.example.org", password("me", "mine"));
    assert!(matches!(refused, Err(OptionsError::PlainCredentials { .. })));
    let told = ClientOptions { plain_credentials: true, ..password("me", "mine") };
    assert!(client("http://registry.example.org", told).is_ok());
    assert!(client("http://127.0.0.1:5000", password("me", "mine")).is_ok());
    assert!(client("https://registry.example.org", password("me", "mine")).is_ok());
}

#[tokio::test]
async fn what_may_still_be_asked_is_remembered() {
    let limit = [("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "3;w=21600")];
    let server = Scripted::start(move |_| answer(StatusCode::OK.as_u16(), &limit, "{}")).await;
    let client = server.client(ClientOptions::default());
    assert_eq!(client.rate_limit(), None);
    client.manifest_head(&repository(), &tag()).await.unwrap();
    assert_eq!(client.rate_limit().map(|limit| limit.remaining), Some(3));
}
