//! What the drivers of remote stores have in common.

use std::path::Path;

use super::{Azure, Gcs, Oss, S3, Swift};
use crate::{ByteSize, GoDuration, Secret};

/// The size of a part when nothing else is said, as in `registry:2`'s `s3` driver.
pub(super) const CHUNK_SIZE: ByteSize = ByteSize::from_mib(10);

/// Parts of one upload that are on their way at the same time.
pub(super) const PARALLEL_PARTS: u32 = 4;

/// How long the store may keep a request waiting.
pub(super) const TIMEOUT: GoDuration = GoDuration::from_secs(30);

/// The keys that every driver of a remote store has, whichever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote<'s> {
    /// The key of the driver in `storage`: `s3`.
    pub name: &'static str,
    /// The driver, with all of its section.
    pub driver: RemoteDriver<'s>,
    /// Bytes in a part of an upload.
    pub chunksize: ByteSize,
    /// Parts of one upload that are in memory at the same time: one upload takes `parallelparts` x `chunksize`.
    pub parallelparts: u32,
    /// How long the store may let a request wait: for its answer to begin, or for the next bytes of a body.
    pub timeout: GoDuration,
    /// A PEM file of certificate authorities to trust beside the usual ones.
    pub ca: Option<&'s Path>,
    /// The proxy on the way to the store. It may hold a password.
    pub proxy: Option<&'s Secret>,
    /// Whether the store's certificate is taken without a look at it.
    pub skipverify: bool,
}

/// A driver of a remote store, with its section of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteDriver<'s> {
    /// Amazon S3 or a compatible store.
    S3(&'s S3),
    /// Azure Blob Storage.
    Azure(&'s Azure),
    /// Google Cloud Storage.
    Gcs(&'s Gcs),
    /// OpenStack Swift.
    Swift(&'s Swift),
    /// Aliyun OSS.
    Oss(&'s Oss),
}

/// An endpoint as a URL: one without a scheme gets `https://` or, when `secure` is off, `http://`.
pub(super) fn with_scheme(endpoint: &str, secure: bool) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    if endpoint.contains("://") {
        return endpoint.to_owned();
    }
    let scheme = if secure { "https" } else { "http" };
    format!("{scheme}://{endpoint}")
}
