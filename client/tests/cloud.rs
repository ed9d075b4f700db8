//! Registries of clouds, and the services that give a machine what it shows to them.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use berth_client::{
    ClientError, ClientOptions, Cloud, CloudCredentials, Credentials, RegistryClient,
};
use tokio::net::TcpListener;

const MANIFEST: &str = "{}";

/// What was asked of the services.
#[derive(Default)]
struct Asked(AtomicUsize);

impl Asked {
    /// Counts a question, and answers it if it was put rightly.
    fn answer(&self, is_right: bool, text: impl Into<String>) -> Response {
        self.0.fetch_add(1, Ordering::SeqCst);
        match is_right {
            true => text.into().into_response(),
            false => (StatusCode::BAD_REQUEST, "a secret").into_response(),
        }
    }
}

fn has(headers: &HeaderMap, name: &str, value: &str) -> bool {
    headers.get(name).is_some_and(|found| found == value)
}

async fn google(State(asked): State<Arc<Asked>>, headers: HeaderMap) -> Response {
    let is_right = has(&headers, "metadata-flavor", "Google");
    asked.answer(is_right, r#"{"access_token": "of-google", "expires_in": 3600}"#)
}

async fn identity(State(asked): State<Arc<Asked>>, uri: Uri, headers: HeaderMap) -> Response {
    let query = uri.query().unwrap_or_default();
    let is_right = has(&headers, "x-identity-header", "of-the-app")
        && query.contains("resource=https%3A%2F%2Fmanagement.azure.com%2F");
    asked.answer(is_right, r#"{"access_token": "of+the/app"}"#)
}

async fn exchange(State(asked): State<Arc<Asked>>, headers: HeaderMap, body: String) -> Response {
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let service = host.replace(':', "%3A");
    let form = format!("grant_type=access_token&service={service}&access_token=of%2Bthe%2Fapp");
    asked.answer(body == form, r#"{"refresh_token": "of-azure"}"#)
}

async fn session(State(asked): State<Arc<Asked>>, headers: HeaderMap) -> Response {
    asked.answer(headers.contains_key("x-aws-ec2-metadata-token-ttl-seconds"), "session")
}

async fn roles(State(asked): State<Arc<Asked>>, headers: HeaderMap) -> Response {
    asked.answer(has(&headers, "x-aws-ec2-metadata-token", "session"), "puller\n")
}

async fn role(State(asked): State<Arc<Asked>>, headers: HeaderMap) -> Response {
    let key = r#"{"AccessKeyId": "AKID", "SecretAccessKey": "secret", "Token": "temporary"}"#;
    asked.answer(has(&headers, "x-aws-ec2-metadata-token", "session"), key)
}

async fn ecr(State(asked): State<Arc<Asked>>, headers: HeaderMap, body: String) -> Response {
    let shown = headers.get(AUTHORIZATION).and_then(|shown| shown.to_str().ok());
    let shown = shown.unwrap_or_default();
    let target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
    let is_right = body == "{}"
        && has(&headers, "x-amz-target", target)
        && has(&headers, "x-amz-security-token", "temporary")
        && shown.starts_with("AWS4-HMAC-SHA256 Credential=AKID/")
        && shown.contains("/eu-central-1/ecr/aws4_request, SignedHeaders=");
    let token = BASE64_STANDARD.encode("AWS:of-amazon");
    asked.answer(
        is_right,
        format!(r#"{{"authorizationData": [{{"authorizationToken": "{token}"}}]}}"#),
    )
}

/// Gives a manifest to whoever shows one of these.
async fn manifest(headers: HeaderMap) -> Response {
    let shown = headers.get(AUTHORIZATION).and_then(|shown| shown.to_str().ok());
    let shown = shown.and_then(|shown| shown.strip_prefix("Basic "));
    let shown = shown.and_then(|shown| BASE64_STANDARD.decode(shown).ok()).unwrap_or_default();
    let known = [
        "oauth2accesstoken:of-google",
        "00000000-0000-0000-0000-000000000000:of-azure",
        "AWS:of-amazon",
    ];
    match known.iter().any(|known| known.as_bytes() == shown) {
        true => MANIFEST.into_response(),
        false => {
            (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Basic realm=\"r\"")]).into_response()
        }
    }
}

/// All of them on one address.
async fn serve() -> (SocketAddr, Arc<Asked>) {
    let asked = Arc::new(Asked::default());
    let account = "/computeMetadata/v1/instance/service-accounts/default/token";
    let credentials = "/latest/meta-data/iam/security-credentials/";
    let router = Router::new()
        .route("/v2/app/manifests/v1", get(manifest))
        .route(account, get(google))
        .route("/identity", get(identity))
        .route("/oauth2/exchange", post(exchange))
        .route("/latest/api/token", put(session))
        .route(credentials, get(roles))
        .route(&format!("{credentials}puller"), get(role))
        .route("/ecr", post(ecr))
        .with_state(asked.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, asked)
}

fn client(address: SocketAddr, cloud: Cloud, header: &'static str) -> RegistryClient {
    let variable = move |name: &str| {
        Some(match name {
            "GCE_METADATA_HOST" => address.to_string(),
            "IDENTITY_ENDPOINT" => format!("http://{address}/identity"),
            "IDENTITY_HEADER" => header.to_owned(),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT" => format!("http://{address}/"),
            "AWS_ENDPOINT_URL_ECR" => format!("http://{address}/ecr"),
            "AWS_REGION" => "eu-central-1".to_owned(),
            _ => return None,
        })
    };
    let credentials = CloudCredentials::with_variables(cloud, variable).unwrap();
    let options =
        ClientOptions { credentials: Credentials::Cloud(credentials), ..ClientOptions::default() };
    RegistryClient::new(format!("http://{address}").parse().unwrap(), options).unwrap()
}

async fn pull(client: &RegistryClient) -> Result<(), ClientError> {
    let (name, tag) = ("app".parse().unwrap(), "v1".parse().unwrap());
    client.manifest(&name, &tag, None, 100).await.map(drop)
}

#[tokio::test]
async fn each_cloud_gives_its_machine_what_its_registry_wants_once_for_many_pulls() {
    for (cloud, questions) in [(Cloud::Google, 1), (Cloud::Azure, 2), (Cloud::Amazon, 4)] {
        let (address, asked) = serve().await;
        let client = client(address, cloud, "of-the-app");
        for _ in 0..3 {
            pull(&client).await.unwrap();
        }
        assert_eq!(asked.0.load(Ordering::SeqCst), questions, "{cloud:?}");
    }
}

#[tokio::test]
async fn what_a_cloud_says_in_place_of_credentials_is_not_repeated() {
    let (address, _) = serve().await;
    let error = pull(&client(address, Cloud::Azure, "of-another")).await.unwrap_err();
    let told = error.to_string();
    assert!(told.contains("/identity answers 400") && !told.contains("secret"), "{told}");
}
