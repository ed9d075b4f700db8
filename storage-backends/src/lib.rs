//! Where the bytes are: the [`BlobStore`] trait and its drivers.
//!
//! A store knows digests, upload sessions and bytes. It knows nothing of repositories but the
//! links that a readable tree repeats ([`LinkTree`]), and nothing of HTTP or SQL. Callers never
//! ask which driver they have; they ask for its [`Capabilities`].

mod blob_store;
mod error;
mod filesystem;
mod inmemory;

pub use blob_store::{
    BlobContent, BlobStore, Capabilities, LinkTree, OpenBlob, StaleUpload, UploadWriter,
};
pub use error::StoreError;
pub use filesystem::FilesystemStore;
pub use inmemory::InMemoryStore;
