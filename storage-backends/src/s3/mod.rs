//! Blobs in Amazon S3 and in stores that speak its protocol.

mod profile;

use std::sync::Arc;

use async_trait::async_trait;
use berth_config::{ObjectAcl, Remote, S3};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer, AwsCredentialProvider};
use object_store::client::HttpRequest;
use object_store::{Attribute, Attributes};

use crate::objects::{
    Authorize, CloudObjects, ObjectBlobStore, ObjectError, Rest, Uploads, failed,
};
use crate::{BlobStore, OpenError, remote};

/// The smallest part that is not the last (Amazon S3 user guide, multipart upload limits).
const SMALLEST_PART: usize = 5 << 20;

/// How many parts an object may have (as above).
const PARTS: usize = 10_000;

/// The variables that name an endpoint, the first of them before the others
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>; the last is the
/// client's own).
const ENDPOINT_VARIABLES: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];

/// Opens the bucket.
///
/// # Errors
/// When the settings cannot be used as they are.
pub(crate) fn open(settings: &S3, common: Remote<'_>) -> Result<Arc<dyn BlobStore>, OpenError> {
    if !matches!(settings.objectacl, None | Some(ObjectAcl::Private)) {
        let reason = "berth stores objects with the bucket's own access list: remove it";
        return Err(OpenError::settings("storage.s3.objectacl", reason));
    }
    let settings = &with_endpoint_of_environment(settings);
    let transport = remote::transport(&common, settings.useragent.as_deref())?;
    let store = builder(settings)?
        .with_client_options(transport.options().clone())
        .with_http_connector(transport.clone())
        .with_retry(remote::retries())
        .build()
        .map_err(|error| OpenError::settings("storage.s3", error))?;
    let store = Arc::new(store);
    let signature = Signature {
        credentials: store.credentials().clone(),
        region: settings.region().to_owned(),
    };
    let rest = Rest::new(signature, &transport)
        .map_err(|error| OpenError::settings("storage.s3", error))?;
    let uploads = Uploads::new(Arc::new(rest), bucket_url(settings));
    let objects = CloudObjects {
        root: remote::root(settings.rootdirectory.as_deref()),
        attributes: attributes(settings),
        unfinished: Some(Box::new(uploads)),
        presigns: true,
        store,
    };
    let parts = remote::parts(&common, SMALLEST_PART, PARTS);
    Ok(Arc::new(ObjectBlobStore::new(objects, parts, transport)))
}

/// The settings with the endpoint of the environment, where they have none of their own: for all
/// requests, whoever makes them.
fn with_endpoint_of_environment(settings: &S3) -> S3 {
    let mut settings = settings.clone();
    if settings.regionendpoint.is_none() && !settings.accelerate && !settings.usedualstack {
        settings.regionendpoint = ENDPOINT_VARIABLES.into_iter().find_map(remote::variable);
    }
    settings
}

/// Signs a request as Amazon S3 wants it (version 4).
#[derive(Debug)]
struct Signature {
    credentials: AwsCredentialProvider,
    region: String,
}

#[async_trait]
impl Authorize for Signature {
    async fn authorize(&self, request: &mut HttpRequest) -> Result<(), ObjectError> {
        let credential = self.credentials.get_credential().await.map_err(failed)?;
        let authorizer = AwsAuthorizer::new(&credential, "s3", &self.region);
        authorizer.try_authorize(request, None).map_err(failed)
    }
}

fn builder(settings: &S3) -> Result<AmazonS3Builder, OpenError> {
    let mut builder = match (&settings.accesskey, &settings.secretkey) {
        (Some(access), Some(secret)) => {
            let builder = AmazonS3Builder::new()
                .with_access_key_id(access)
                .with_secret_access_key(secret.expose());
            match &settings.sessiontoken {
                Some(token) => builder.with_token(token.expose()),
                None => builder,
            }
        }
        _ => match profile::find(settings)? {
            Some(profile) => AmazonS3Builder::new().with_credentials(Arc::new(profile)),
            // The environment, a pod's identity, a container's, the instance's.
            None => AmazonS3Builder::from_env(),
        },
    };
    builder = builder
        .with_bucket_name(settings.bucket.clone().unwrap_or_default())
        .with_region(settings.region())
        .with_virtual_hosted_style_request(!settings.is_path_style());
    let endpoint = endpoint(settings);
    // TLS already proves that the bytes of a body arrive as they were sent.
    builder = builder.with_unsigned_payload(
        endpoint.as_deref().is_none_or(|endpoint| endpoint.starts_with("https:")),
    );
    if let Some(endpoint) = endpoint {
        // Before `AWS_ENDPOINT_URL_S3`, which goes before the other way to name one.
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    if settings.encrypt {
        builder = match &settings.keyid {
            Some(key) => builder.with_sse_kms_encryption(key),
            None => {
                let key: AmazonS3ConfigKey = "aws_server_side_encryption"
                    .parse()
                    .map_err(|error| OpenError::settings("storage.s3.encrypt", error))?;
                builder.with_config(key, "AES256")
            }
        };
    }
    Ok(builder)
}

fn attributes(settings: &S3) -> Attributes {
    let class = settings.storage_class().map(str::to_owned);
    class.map(|class| (Attribute::StorageClass, class)).into_iter().collect()
}

/// The address that the client is given, where it cannot find it by itself. With the bucket in the
/// host's name the client expects it there.
fn endpoint(settings: &S3) -> Option<String> {
    let bucket = settings.bucket.as_deref().unwrap_or_default();
    match settings.endpoint() {
        Some(endpoint) if settings.is_path_style() => Some(endpoint),
        Some(endpoint) => Some(endpoint.replacen("://", &format!("://{bucket}."), 1)),
        None if settings.accelerate => {
            let middle = if settings.usedualstack { ".dualstack" } else { "" };
            Some(format!("https://{bucket}.s3-accelerate{middle}.amazonaws.com"))
        }
        None if settings.usedualstack => {
            let region = settings.region();
            match settings.is_path_style() {
                true => Some(format!("https://s3.dualstack.{region}.amazonaws.com")),
                false => Some(format!("https://{bucket}.s3.dualstack.{region}.amazonaws.com")),
            }
        }
        None => None,
    }
}

/// The address of the bucket itself.
fn bucket_url(settings: &S3) -> String {
    let bucket = settings.bucket.as_deref().unwrap_or_default();
    match endpoint(settings) {
        Some(endpoint) if settings.is_path_style() => format!("{endpoint}/{bucket}"),
        Some(endpoint) => endpoint,
        None => format!("https://{bucket}.s3.{}.amazonaws.com", settings.region()),
    }
}
