use std::fmt;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use thiserror::Error;

use crate::{StoreError, remote};

/// What drivers need of an object store. Each call is tried again by the client beneath, as far
/// as its settings go, before it fails.
#[async_trait]
pub(crate) trait Objects: fmt::Debug + Send + Sync + 'static {
    /// Writes an object whole.
    async fn put(&self, key: &str, content: Vec<Bytes>) -> Result<(), ObjectError>;

    /// Writes an object whole, unless there is one: that is [`ObjectError::Exists`].
    async fn put_new(&self, key: &str, content: Vec<Bytes>) -> Result<(), ObjectError>;

    /// Reads a part of an object.
    async fn get(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, ObjectError>>, ObjectError>;

    /// The size of an object.
    async fn size(&self, key: &str) -> Result<u64, ObjectError>;

    /// Deletes an object; nothing when it is not there.
    async fn delete(&self, key: &str) -> Result<(), ObjectError>;

    /// All objects whose keys begin with a folder's name.
    fn list(&self, folder: &str) -> BoxStream<'static, Result<Listed, ObjectError>>;

    /// How many parts an object may have, where the store itself says so.
    async fn part_limit(&self) -> Option<usize> {
        None
    }

    /// Begins an object of parts and gives its identifier.
    async fn begin_parts(&self, key: &str) -> Result<String, ObjectError>;

    /// Writes a part; `index` counts from 0. Gives what names it at the end. Writing an index again
    /// replaces the part.
    async fn put_part(
        &self,
        key: &str,
        id: &str,
        index: usize,
        content: Vec<Bytes>,
    ) -> Result<String, ObjectError>;

    /// Makes the object of its parts.
    async fn complete_parts(
        &self,
        key: &str,
        id: &str,
        parts: Vec<String>,
    ) -> Result<(), ObjectError>;

    /// Gives up an object of parts; nothing when it is not there.
    async fn abort_parts(&self, key: &str, id: &str) -> Result<(), ObjectError>;

    /// Objects of parts that were begun and not completed. None where the store ends them itself.
    async fn unfinished(&self, folder: &str) -> Result<Vec<Unfinished>, ObjectError>;

    /// An address at which anyone can read an object for so long; `None` where there is no such
    /// thing.
    async fn presign(&self, key: &str, valid: Duration) -> Result<Option<String>, ObjectError>;
}

/// An object in a listing.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
}

/// An object of parts in a listing.
#[derive(Clone, Debug)]
pub(crate) struct Unfinished {
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) begun: SystemTime,
}

impl Unfinished {
    /// The same with its key below the folder that everything is in; `None` when it is not there.
    pub(crate) fn without_root(self, root: &str) -> Option<Self> {
        let key = remote::without_root(root, &self.key)?.to_owned();
        Some(Self { key, ..self })
    }
}

/// Why the object store could not do it.
#[derive(Clone, Debug, Error)]
pub(crate) enum ObjectError {
    /// No such object, upload, bucket or container.
    #[error("not found: {0}")]
    NotFound(String),
    /// There is an object already.
    #[error("an object is there already: {0}")]
    Exists(String),
    /// The credentials do not allow it.
    #[error("the object store denies access: {0}")]
    Denied(String),
    /// Anything else, after all attempts.
    #[error("{0}")]
    Failed(String),
    /// Not asked: it has failed too often lately.
    #[error("the object store does not answer; it is asked again in a while")]
    Down,
}

impl From<ObjectError> for StoreError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::NotFound(_) => Self::NotFound,
            ObjectError::Denied(reason) => Self::Denied(reason),
            error => Self::Io(std::io::Error::other(error)),
        }
    }
}
