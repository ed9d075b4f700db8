//! Blobs in Google Cloud Storage.

use std::sync::Arc;

use berth_config::{Gcs, Remote};
use object_store::Attributes;
use object_store::gcp::GoogleCloudStorageBuilder;

use crate::objects::{CloudObjects, ObjectBlobStore};
use crate::{BlobStore, OpenError, remote};

/// The smallest part that is not the last, and how many an object may have (Cloud Storage, XML API
/// multipart uploads).
const SMALLEST_PART: usize = 5 << 20;
const PARTS: usize = 10_000;

/// Opens the bucket. Nothing is asked of it yet: [`BlobStore::check`] does.
///
/// # Errors
/// When the settings cannot be used as they are.
pub fn open(settings: &Gcs, common: Remote<'_>) -> Result<Arc<dyn BlobStore>, OpenError> {
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
    let store = builder
        .with_bucket_name(settings.bucket.clone().unwrap_or_default())
        .with_client_options(remote::client_options(&common, None)?)
        .with_retry(remote::retries())
        .build()
        .map_err(|error| OpenError::settings("storage.gcs", error))?;
    let objects = CloudObjects {
        store: Arc::new(store),
        root: remote::root(settings.rootdirectory.as_deref()),
        attributes: Attributes::new(),
        unfinished: None,
        presigns: true,
    };
    Ok(Arc::new(ObjectBlobStore::new(objects, remote::parts(&common, SMALLEST_PART, PARTS))))
}
