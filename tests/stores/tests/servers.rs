//! Each server, by the client that the drivers use.

mod suite;

use berth_test_stores::{Azurite, Moto, S3Access, VersityGateway};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};

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
