use std::io;

use thiserror::Error;

/// Why the store could not do it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The bytes are not there.
    #[error("the store does not hold the content")]
    NotFound,
    /// The place that the store is to keep bytes in is not there.
    #[error("the store has no such bucket or container: {0}")]
    NoContainer(String),
    /// Another request is writing to the same upload.
    #[error("another request is writing to this upload")]
    Busy,
    /// The store holds fewer bytes of an upload than were recorded.
    #[error("the store holds {held} bytes of the upload where {recorded} were recorded")]
    UploadLost {
        /// The bytes that were recorded.
        recorded: u64,
        /// The bytes that are there.
        held: u64,
    },
    /// No room. What was stored before is untouched.
    #[error("no space is left in the store")]
    NoSpace,
    /// The store cannot be written.
    #[error("the store cannot be written: {0}")]
    ReadOnly(io::Error),
    /// The store does not let us.
    #[error("the store denies access: {0}")]
    Denied(String),
    /// An upload needs more parts than the store allows.
    #[error("the store takes at most {limit} bytes in parts of this size: raise `chunksize`")]
    TooLarge {
        /// The bytes that it takes.
        limit: u64,
    },
    /// The store did not answer as it should.
    #[error("the store failed: {0}")]
    Io(io::Error),
}

/// Why a store cannot be opened as it is configured.
#[derive(Debug, Error)]
#[error("{key}: {reason}")]
pub struct OpenError {
    key: String,
    reason: String,
}

impl OpenError {
    pub(crate) fn settings(key: &str, reason: impl ToString) -> Self {
        Self { key: key.to_owned(), reason: reason.to_string() }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly(error)
            }
            _ => Self::Io(error),
        }
    }
}
