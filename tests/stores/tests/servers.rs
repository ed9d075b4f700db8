//! Each server, by the client that the drivers use.
#![allow(clippy::expect_used, clippy::unwrap_used, unreachable_pub)]

mod suite;

use std::sync::Arc;
use std::time::Duration;

use berth_test_stores::{Azurite, Gcs, Moto, S3Access, VersityGateway};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::gcp::{GcpCredential, GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::signer::Signer as _;
use object_store::{ClientOptions, ObjectStoreExt as _, PutPayload, StaticCredentialProvider};

#[tokio::test]
async fn versity_speaks_s3() {
    let server = VersityGateway::start().unwrap();
    let store = s3(server.access());
    suite::objects(&store).await;
    suite::parts(&store).await;
    suite::presigned(&store).await;
    suite::conditions(&store).await;
}

#[tokio::test]
async fn versity_checks_signatures() {
    let server = VersityGateway::start().unwrap();
    let stranger = S3Access { secret_key: "wrong".into(), ..server.access().clone() };
    suite::refuses(&s3(&stranger)).await;
    let elsewhere = S3Access { region: "eu-west-1".into(), ..server.access().clone() };
    let put = s3(&elsewhere).put(&"object".into(), PutPayload::from_static(b"x")).await;
    assert!(put.is_err(), "{put:?}");
}

#[tokio::test]
async fn moto_speaks_s3() {
    let server = Moto::start().unwrap();
    let store = s3(server.access());
    suite::objects(&store).await;
    suite::parts(&store).await;
    suite::presigned(&store).await;
    suite::conditions(&store).await;
}

#[tokio::test]
async fn azurite_speaks_azure_blob() {
    let server = Azurite::start().unwrap();
    let store = azure(&server, server.key());
    suite::objects(&store).await;
    suite::parts(&store).await;
    suite::presigned(&store).await;
    suite::conditions(&store).await;
    suite::refuses(&azure(&server, "d3Jvbmc=")).await;
}

#[tokio::test]
async fn gcs_speaks_the_xml_api_with_a_service_account() {
    let server = Gcs::start().unwrap();
    let store = gcs(&server, server.service_account());
    suite::objects(&store).await;
    suite::parts(&store).await;
    suite::presigned(&store).await;
    suite::conditions(&store).await;
    assert_eq!(server.uploads(), 0);
    let stranger = Gcs::start().unwrap();
    suite::refuses(&gcs(&server, stranger.service_account())).await;
}

#[tokio::test]
async fn gcs_knows_a_token_until_it_is_rotated() {
    let server = Gcs::start().unwrap();
    let credential = GcpCredential { bearer: server.token() };
    let store = GoogleCloudStorageBuilder::new()
        .with_base_url(&server.endpoint())
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_bucket_name(server.bucket())
        .with_credentials(Arc::new(StaticCredentialProvider::new(credential)))
        .build()
        .unwrap();
    suite::objects(&store).await;
    server.rotate_token();
    suite::refuses(&store).await;
}

#[tokio::test]
async fn a_signed_url_of_gcs_is_for_one_object_only() {
    let server = Gcs::start().unwrap();
    let store = gcs(&server, server.service_account());
    for name in ["a", "b"] {
        store.put(&name.into(), PutPayload::from_static(b"x")).await.unwrap();
    }
    let lives = Duration::from_secs(60);
    let mut url = store.signed_url(reqwest::Method::GET, &"a".into(), lives).await.unwrap();
    assert_eq!(reqwest::get(url.clone()).await.unwrap().status(), 200);
    url.set_path(&format!("/{}/b", server.bucket()));
    assert_eq!(reqwest::get(url).await.unwrap().status(), 403);
}

fn gcs(server: &Gcs, account: &str) -> GoogleCloudStorage {
    GoogleCloudStorageBuilder::new()
        .with_base_url(&server.endpoint())
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_bucket_name(server.bucket())
        .with_service_account_key(account)
        .build()
        .unwrap()
}

fn s3(access: &S3Access) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(&access.endpoint)
        .with_allow_http(true)
        .with_region(&access.region)
        .with_bucket_name(&access.bucket)
        .with_access_key_id(&access.access_key)
        .with_secret_access_key(&access.secret_key)
        .build()
        .unwrap()
}

fn azure(server: &Azurite, key: &str) -> MicrosoftAzure {
    MicrosoftAzureBuilder::new()
        .with_endpoint(server.endpoint().to_owned())
        .with_allow_http(true)
        .with_account(server.account())
        .with_access_key(key)
        .with_container_name(server.container())
        .build()
        .unwrap()
}
