//! Blobs in Aliyun OSS.

mod objects;
mod signature;
mod xml;

use std::sync::Arc;

use berth_config::{Oss, Remote};

use self::objects::OssObjects;
use self::signature::{Bucket, Signature};
use crate::objects::{ObjectBlobStore, Rest, Uploads};
use crate::{BlobStore, OpenError, remote};

/// The smallest part that is not the last, and how many an object may have:
/// <https://www.alibabacloud.com/help/en/oss/user-guide/multipart-upload>
const SMALLEST_PART: usize = 100 << 10;
const PARTS: usize = 10_000;

/// Opens the bucket.
///
/// # Errors
/// When the settings cannot be used as they are.
pub(crate) fn open(settings: &Oss, common: Remote<'_>) -> Result<Arc<dyn BlobStore>, OpenError> {
    let wrong = |error: &dyn std::fmt::Display| OpenError::settings("storage.oss", error);
    let transport = remote::transport(&common, None)?;
    let bucket = Bucket::of(settings).map_err(|error| wrong(&error))?;
    let url = bucket.url();
    let signature =
        Arc::new(Signature::new(settings, &bucket, &transport).map_err(|error| wrong(&error))?);
    let rest = Rest::new(Arc::clone(&signature), &transport).map_err(|error| wrong(&error))?;
    let rest = Arc::new(rest);
    let objects = OssObjects {
        root: remote::root(settings.rootdirectory.as_deref()),
        unfinished: Uploads::new(Arc::clone(&rest), url.clone()),
        encryption: encryption(settings),
        rest,
        signature,
        url,
    };
    let parts = remote::parts(&common, SMALLEST_PART, PARTS);
    Ok(Arc::new(ObjectBlobStore::new(objects, parts, transport)))
}

/// The headers of a new object:
/// <https://www.alibabacloud.com/help/en/oss/user-guide/server-side-encryption-8>
fn encryption(settings: &Oss) -> Vec<(&'static str, String)> {
    const METHOD: &str = "x-oss-server-side-encryption";
    match &settings.encryptionkeyid {
        _ if !settings.encrypt => Vec::new(),
        Some(key) => {
            vec![(METHOD, "KMS".to_owned()), ("x-oss-server-side-encryption-key-id", key.clone())]
        }
        None => vec![(METHOD, "AES256".to_owned())],
    }
}
