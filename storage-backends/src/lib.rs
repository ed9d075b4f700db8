//! Where the bytes are: the [`BlobStore`] trait and its drivers.
//!
//! A store knows digests, upload sessions and bytes. It knows nothing of repositories but the
//! links that a readable tree repeats ([`LinkTree`]), and nothing of HTTP or SQL. Callers never
//! ask which driver they have; they ask for its [`Capabilities`].

pub mod azure;
mod blob_store;
mod error;
mod filesystem;
pub mod gcs;
mod inmemory;
mod objects;
pub mod oss;
mod remote;
pub mod s3;
pub mod swift;

pub use blob_store::{
    BlobContent, BlobStore, Capabilities, LinkTree, OpenBlob, RemoteBlob, StaleUpload, UploadWriter,
};
pub use error::{OpenError, StoreError};
pub use filesystem::FilesystemStore;
pub use inmemory::InMemoryStore;
