//! Where the bytes are: the [`BlobStore`] trait and its drivers.
//!
//! A store knows digests, upload sessions and bytes. It knows nothing of repositories but the
//! links that a readable tree repeats ([`LinkTree`]), and nothing of HTTP or SQL. Callers never
//! ask which driver they have; they ask for its [`Capabilities`].

mod azure;
mod blob_store;
mod error;
mod files;
mod filesystem;
mod gcs;
mod inmemory;
mod objects;
mod oss;
mod remote;
mod s3;
mod swift;
mod transport;
pub mod tree;

pub use blob_store::{
    BlobContent, BlobStore, Capabilities, LinkTree, NewBlob, OpenBlob, PlacedBlob, RemoteBlob,
    StaleUpload, UploadWriter, is_quarantined,
};
pub use error::{OpenError, StoreError};
pub use files::{Found, FoundFile, StoreFiles};
pub use filesystem::FilesystemStore;
pub use inmemory::InMemoryStore;

use std::sync::Arc;

use berth_config::{Remote, RemoteDriver};

/// Opens the store that a configuration names. Nothing is asked of it yet: [`BlobStore::check`]
/// does.
///
/// # Errors
/// When the settings cannot be used as they are.
pub fn open_remote(remote: Remote<'_>) -> Result<Arc<dyn BlobStore>, OpenError> {
    match remote.driver {
        RemoteDriver::S3(settings) => s3::open(settings, remote),
        RemoteDriver::Azure(settings) => azure::open(settings, remote),
        RemoteDriver::Gcs(settings) => gcs::open(settings, remote),
        RemoteDriver::Swift(settings) => swift::open(settings, remote),
        RemoteDriver::Oss(settings) => oss::open(settings, remote),
    }
}
