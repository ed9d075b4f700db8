//! Blobs in Google Cloud Storage.

mod federation;

use std::sync::Arc;

use async_trait::async_trait;
use berth_config::{Gcs, Remote};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use object_store::client::HttpRequest;
use object_store::gcp::{GcpCredentialProvider, GcpSigningCredential, GoogleCloudStorageBuilder};
use object_store::{Attributes, StaticCredentialProvider};

use self::federation::{Document, Origin, Tokens};

use crate::objects::{
    Authorize, CloudObjects, ObjectBlobStore, ObjectError, Rest, Uploads, failed,
};
use crate::transport::Transport;
use crate::{BlobStore, OpenError, remote};

/// The smallest part that is not the last, and how many an object may have (Cloud Storage, XML API
/// multipart uploads).
const SMALLEST_PART: usize = 5 << 20;
const PARTS: usize = 10_000;

/// The domain that Cloud Storage is in.
const GOOGLE: &str = "googleapis.com";

/// Opens the bucket.
///
/// # Errors
/// When the settings cannot be used as they are.
pub(crate) fn open(settings: &Gcs, common: Remote<'_>) -> Result<Arc<dyn BlobStore>, OpenError> {
    let wrong = |error| OpenError::settings("storage.gcs", error);
    let transport = remote::transport(&common, None)?;
    let federated = federation::find(settings)?;
    let google = federated.as_ref().map_or(GOOGLE, |(_, document)| document.universe());
    let endpoint = settings.endpoint().unwrap_or_else(|| format!("https://storage.{google}"));
    let (mut builder, presigns) = match federated {
        Some((origin, document)) => {
            let (builder, presigns) =
                with_federation(origin, document, &transport).map_err(wrong)?;
            (builder.with_base_url(&endpoint), presigns)
        }
        None => (with_credentials(settings), true),
    };
    if settings.endpoint().is_some() {
        builder = builder.with_base_url(&endpoint);
    }
    let bucket = settings.bucket.clone().unwrap_or_default();
    let store = builder
        .with_bucket_name(&bucket)
        .with_client_options(transport.options().clone())
        .with_http_connector(transport.clone())
        .with_retry(remote::retries())
        .build()
        .map_err(wrong)?;
    let token = Token(store.credentials().clone());
    let rest = Rest::new(token, &transport).map_err(wrong)?;
    let uploads = Uploads::new(Arc::new(rest), format!("{endpoint}/{bucket}"));
    let objects = CloudObjects {
        store: Arc::new(store),
        root: remote::root(settings.rootdirectory.as_deref()),
        attributes: Attributes::new(),
        unfinished: Some(Box::new(uploads)),
        presigns,
    };
    let parts = remote::parts(&common, SMALLEST_PART, PARTS);
    Ok(Arc::new(ObjectBlobStore::new(objects, parts, transport)))
}

/// The credentials that the client beneath knows.
fn with_credentials(settings: &Gcs) -> GoogleCloudStorageBuilder {
    match (&settings.keyfile, settings.inline_key()) {
        (Some(path), _) => {
            let path = path.display().to_string();
            GoogleCloudStorageBuilder::new().with_application_credentials(path)
        }
        (None, Some(key)) => {
            GoogleCloudStorageBuilder::new().with_service_account_key(key.expose())
        }
        // A key file that the environment names, else the metadata server.
        (None, None) => GoogleCloudStorageBuilder::from_env(),
    }
}

/// The identity of another cloud, and whether addresses can be signed with it: that takes a service
/// account, which Google then signs for.
fn with_federation(
    origin: Origin,
    document: Document,
    transport: &Transport,
) -> object_store::Result<(GoogleCloudStorageBuilder, bool)> {
    let signer = document.signer().map(str::to_owned);
    let presigns = signer.is_some();
    let signer = GcpSigningCredential { email: signer.unwrap_or_default(), private_key: None };
    let tokens = Tokens::new(origin, document, transport)?;
    let builder = GoogleCloudStorageBuilder::new()
        .with_credentials(Arc::new(tokens))
        .with_signing_credentials(Arc::new(StaticCredentialProvider::new(signer)));
    Ok((builder, presigns))
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
