use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use backon::Retryable as _;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use http::Method;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{
    Attributes, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, PutPayload,
};

use super::client::{Listed, ObjectError, Objects, Unfinished};
use super::explain::explain;
use super::rest::pauses;
use crate::remote;

/// A store that the `object_store` crate speaks to.
#[derive(Debug)]
pub(crate) struct CloudObjects<S> {
    pub(crate) store: Arc<S>,
    /// The folder that everything is in, without slashes at its ends; may be empty.
    pub(crate) root: String,
    /// What each object is given.
    pub(crate) attributes: Attributes,
    /// How objects of parts are found that nobody completed, where that is for us to do.
    pub(crate) unfinished: Option<Box<dyn ListUnfinished>>,
    /// Whether anyone can be given an address to read from.
    pub(crate) presigns: bool,
}

/// Finds objects of parts that nobody completed.
#[async_trait]
pub(crate) trait ListUnfinished: std::fmt::Debug + Send + Sync {
    /// Those whose whole key begins so.
    async fn list(&self, prefix: &str) -> Result<Vec<Unfinished>, ObjectError>;
}

impl<S> CloudObjects<S> {
    fn path(&self, key: &str) -> Path {
        Path::from(self.whole_key(key))
    }

    fn whole_key(&self, key: &str) -> String {
        remote::join(&self.root, key)
    }
}

impl<S: ObjectStore> CloudObjects<S> {
    async fn write(
        &self,
        key: &str,
        payload: PutPayload,
        mode: PutMode,
    ) -> Result<(), ObjectError> {
        let attributes = self.attributes.clone();
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        self.store.put_opts(&self.path(key), payload, options).await.map_err(explain)?;
        Ok(())
    }
}

#[async_trait]
impl<S: ObjectStore + MultipartStore + Signer> Objects for CloudObjects<S> {
    async fn put(&self, key: &str, content: Vec<Bytes>) -> Result<(), ObjectError> {
        // Nothing can be in the way of what may be written over: a store that answers with a conflict was at
        // something else in the same place. S3 has `OperationAborted` for it, gateways over files find a folder
        // gone that has just become empty.
        let payload = PutPayload::from_iter(content);
        let attempts = || self.write(key, payload.clone(), PutMode::Overwrite);
        attempts.retry(pauses()).when(|error| matches!(error, ObjectError::Exists(_))).await
    }

    async fn put_new(&self, key: &str, content: Vec<Bytes>) -> Result<(), ObjectError> {
        self.write(key, PutPayload::from_iter(content), PutMode::Create).await
    }

    async fn get(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, ObjectError>>, ObjectError> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let got = self.store.get_opts(&self.path(key), options).await.map_err(explain)?;
        Ok(got.into_stream().map_err(explain).boxed())
    }

    async fn size(&self, key: &str) -> Result<u64, ObjectError> {
        Ok(self.store.head(&self.path(key)).await.map_err(explain)?.size)
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        none_if_missing(self.store.delete(&self.path(key)).await)
    }

    fn list(&self, folder: &str) -> BoxStream<'static, Result<Listed, ObjectError>> {
        let root = self.root.clone();
        let listed = self.store.list(Some(&self.path(folder)));
        let listed = listed.try_filter_map(move |found| {
            let key = remote::without_root(&root, found.location.as_ref());
            let modified = SystemTime::from(found.last_modified);
            let listed = key.map(|key| Listed { key: key.to_owned(), size: found.size, modified });
            std::future::ready(Ok(listed))
        });
        listed.map_err(explain).boxed()
    }

    async fn begin_parts(&self, key: &str) -> Result<String, ObjectError> {
        let path = self.path(key);
        if self.attributes.is_empty() {
            return self.store.create_multipart(&path).await.map_err(explain);
        }
        let attributes = self.attributes.clone();
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        self.store.create_multipart_opts(&path, options).await.map_err(explain)
    }

    async fn put_part(
        &self,
        key: &str,
        id: &str,
        index: usize,
        content: Vec<Bytes>,
    ) -> Result<String, ObjectError> {
        let payload = PutPayload::from_iter(content);
        let part = self.store.put_part(&self.path(key), &id.to_owned(), index, payload).await;
        Ok(part.map_err(explain)?.content_id)
    }

    async fn complete_parts(
        &self,
        key: &str,
        id: &str,
        parts: Vec<String>,
    ) -> Result<(), ObjectError> {
        let parts = parts.into_iter().map(|content_id| PartId { content_id }).collect();
        let completed = self.store.complete_multipart(&self.path(key), &id.to_owned(), parts).await;
        completed.map_err(explain)?;
        Ok(())
    }

    async fn abort_parts(&self, key: &str, id: &str) -> Result<(), ObjectError> {
        none_if_missing(self.store.abort_multipart(&self.path(key), &id.to_owned()).await)
    }

    async fn unfinished(&self, folder: &str) -> Result<Vec<Unfinished>, ObjectError> {
        let Some(list) = &self.unfinished else { return Ok(Vec::new()) };
        let found = list.list(&self.whole_key(folder)).await?;
        Ok(found.into_iter().filter_map(|one| one.without_root(&self.root)).collect())
    }

    async fn presign(&self, key: &str, valid: Duration) -> Result<Option<String>, ObjectError> {
        if !self.presigns {
            return Ok(None);
        }
        let signed = self.store.signed_url(Method::GET, &self.path(key), valid).await;
        Ok(Some(signed.map_err(explain)?.into()))
    }
}

fn none_if_missing(result: Result<(), Error>) -> Result<(), ObjectError> {
    match result {
        Err(Error::NotFound { .. }) => Ok(()),
        other => other.map_err(explain),
    }
}
