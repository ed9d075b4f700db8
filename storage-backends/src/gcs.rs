//! Blobs in Google Cloud Storage.

use std::sync::Arc;

use async_trait::async_trait;
use berth_config::{Gcs, Remote};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use object_store::Attributes;
use object_store::client::HttpRequest;
use object_store::gcp::{GcpCredentialProvider, GoogleCloudStorageBuilder};

use crate::objects::{
    Authorize, CloudObjects, ObjectBlobStore, ObjectError, Rest, Uploads, failed,
};
use crate::{BlobStore, OpenError, remote};

/// The smallest part that is not the last, and how many an object may have (Cloud Storage, XML API
/// multipart uploads).
const SMALLEST_PART: usize = 5 << 20;
const PARTS: usize = 10_000;

/// Where Cloud Storage is.
const GOOGLE: &str = "https://storage.googleapis.com";

/// Opens the bucket.
///
/// # Errors
/// When the settings cannot be used as they are.
pub(crate) fn open(settings: &Gcs, common: Remote<'_>) -> Result<Arc<dyn BlobStore>, OpenError> {
    let mut builder = match (&settings.keyfile, settings.inline_key()) {
        (Some(path), _) => {
            let path = path.display().to_string();
            GoogleCloudStorageBuilder::new().with_application_credentials(path)
        }
        (None, Some(key)) => {
            GoogleCloudStorageBuilder::new().with_service_account_key(key.expose())
        }
        // A key file that the environment names, else the metadata server.
        (None, None) => GoogleCloudStorageBuilder::from_env(),
    };
    if let Some(endpoint) = settings.endpoint() {
        builder = builder.with_base_url(&endpoint);
    }
    let transport = remote::transport(&common, None)?;
    let bucket = settings.bucket.clone().unwrap_or_default();
    let store = builder
        .with_bucket_name(&bucket)
        .with_client_options(transport.options().clone())
        .with_http_connector(transport.clone())
        .with_retry(remote::retries())
        .build()
        .map_err(|error| OpenError::settings("storage.gcs", error))?;
    let endpoint = settings.endpoint().unwrap_or_else(|| GOOGLE.to_owned());
    let token = Token(store.credentials().clone());
    let rest =
        Rest::new(token, &transport).map_err(|error| OpenError::settings("storage.gcs", error))?;
    let uploads = Uploads::new(Arc::new(rest), format!("{endpoint}/{bucket}"));
    let objects = CloudObjects {
        store: Arc::new(store),
        root: remote::root(settings.rootdirectory.as_deref()),
        attributes: Attributes::new(),
        unfinished: Some(Box::new(uploads)),
        presigns: true,
    };
    let parts = remote::parts(&common, SMALLEST_PART, PARTS);
    Ok(Arc::new(ObjectBlobStore::new(objects, parts, transport)))
}

/// Puts an access token on a request.
#[derive(Debug)]
struct Token(GcpCredentialProvider);

#[async_trait]
impl Authorize for Token {
    async fn authorize(&self, request: &mut HttpRequest) -> Result<(), ObjectError> {
        let credential = self.0.get_credential().await.map_err(failed)?;
        let bearer = format!("Bearer {}", credential.bearer);
        let bearer = HeaderValue::try_from(bearer).map_err(failed)?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        Ok(())
    }
}
