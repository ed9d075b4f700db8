//! Blobs in OpenStack Swift.
//!
//! - `keystone` has the logins, `catalogue` what they answer, and `sessions` keeps the token.
//! - `info` is what a cluster says of itself.
//! - `container` has the calls on one container, and `segments` what its large objects are made of.
//! - `objects` is the driver over these, and `temp_url` the addresses that anyone can read from.

mod catalogue;
mod container;
mod info;
mod keystone;
mod objects;
mod segments;
mod sessions;
mod temp_url;

use std::sync::Arc;

use berth_config::{Remote, Swift};

use self::container::Container;
use self::keystone::Login;
use self::objects::SwiftObjects;
use self::sessions::Sessions;
use self::temp_url::TempUrls;
use crate::objects::ObjectBlobStore;
use crate::{BlobStore, OpenError, remote};

/// Swift takes segments of any size. But a large object has at most [`SEGMENTS`] of them, so with
/// the small chunks that some clients send it would be a small object.
const SMALLEST_SEGMENT: usize = 5 << 20;

/// How many segments a large object may have where the cluster says nothing of it: Swift's default.
const SEGMENTS: usize = 1000;

/// Opens the container. Nothing is asked of it yet: [`BlobStore::check`] does, and makes the
/// container when it is missing.
///
/// # Errors
/// When the settings cannot be used as they are.
pub(crate) fn open(settings: &Swift, common: Remote<'_>) -> Result<Arc<dyn BlobStore>, OpenError> {
    let transport = remote::transport(&common, None)?;
    let wrong = |error| OpenError::settings("storage.swift", error);
    let login = Login::new(settings, &transport).map_err(wrong)?;
    let sessions = Arc::new(Sessions::new(login));
    let root = remote::root(settings.prefix.as_deref());
    let name = settings.container.clone().unwrap_or_default();
    let container =
        Arc::new(Container::new(name, root, Arc::clone(&sessions), &transport).map_err(wrong)?);
    let addresses = settings.secretkey.clone().map(|key| TempUrls::new(key, settings));
    let objects = SwiftObjects { container, addresses };
    let chunk = usize::try_from(common.chunksize.bytes()).unwrap_or(usize::MAX);
    let smallest = SMALLEST_SEGMENT.min(chunk);
    let parts = remote::parts(&common, smallest, SEGMENTS);
    Ok(Arc::new(ObjectBlobStore::new(objects, parts, transport)))
}
