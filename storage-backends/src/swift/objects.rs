use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use berth_oci::UploadId;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, TryStreamExt};
use tracing::warn;

use super::container::Container;
use super::segments::{self, Segment};
use super::temp_url::TempUrls;
use crate::objects::{Listed, ObjectError, Objects, Unfinished, failed};

/// How many objects are deleted at the same time.
const DELETIONS: usize = 8;

/// How long another write of the same moment may still be on its way through the store.
const SETTLED: Duration = Duration::from_secs(1);

/// Objects in a container, the large ones as static large objects.
///
/// Swift has no uploads in parts; a part is an object, and at last a manifest names them. So that
/// parts which nobody completes are found, a mark is written before the first of them and deleted
/// after the manifest: those that are there are all that has to be looked at, however many blobs
/// there are. Listings may lag; what counts is whether mark and manifest themselves can be had.
///
/// - A mark without a manifest is an unfinished object. Giving it up deletes the segments, then the
///   mark, then what was on its way meanwhile; whoever writes a segment looks for the mark after
///   that, and deletes it again if it is gone.
/// - A mark with a manifest was left by a crash, and so were segments that the manifest does not
///   name.
#[derive(Debug)]
pub(super) struct SwiftObjects {
    pub(super) container: Arc<Container>,
    /// None where readers are not sent to the store.
    pub(super) addresses: Option<TempUrls>,
}

#[async_trait]
impl Objects for SwiftObjects {
    async fn put(&self, key: &str, content: Vec<Bytes>) -> Result<(), ObjectError> {
        self.container.put(key, content).await?;
        Ok(())
    }

    async fn put_new(&self, key: &str, content: Vec<Bytes>) -> Result<(), ObjectError> {
        // Swift looks whether there is an object when a request begins, and writes when all of it has
        // come, so two at the same time may both be told that they wrote. The last one did.
        let etag = self.container.put_new(key, content).await?;
        tokio::time::sleep(SETTLED).await;
        let found = self.container.head(key).await?;
        if found.etag == etag { Ok(()) } else { Err(ObjectError::Exists(key.to_owned())) }
    }

    async fn get(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, ObjectError>>, ObjectError> {
        self.container.get(key, range).await
    }

    async fn size(&self, key: &str) -> Result<u64, ObjectError> {
        Ok(self.container.head(key).await?.size)
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        match self.container.head(key).await {
            Ok(head) if head.is_large => {
                self.container.delete_large(key).await?;
                // Those of tries that came to nothing.
                self.clear(&segments::folder_of(key), &[]).await
            }
            Ok(_) => self.container.delete(key).await,
            Err(ObjectError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn list(&self, folder: &str) -> BoxStream<'static, Result<Listed, ObjectError>> {
        self.container.list(folder)
    }

    async fn part_limit(&self) -> Option<usize> {
        Some(self.container.info().await.slo?.max_manifest_segments)
    }

    async fn begin_parts(&self, key: &str) -> Result<String, ObjectError> {
        if self.container.info().await.slo.is_none() {
            let missing = "the cluster has no static large objects (`slo`), which blobs of more than one segment need";
            return Err(ObjectError::Failed(missing.to_owned()));
        }
        let id = UploadId::random().to_string();
        self.container.put(&segments::mark(key, &id), Vec::new()).await?;
        Ok(id)
    }

    async fn put_part(
        &self,
        key: &str,
        id: &str,
        index: usize,
        content: Vec<Bytes>,
    ) -> Result<String, ObjectError> {
        let container = Arc::clone(&self.container);
        let mark = segments::mark(key, id);
        let file = Segment::new_file(index);
        let path = format!("{}{file}", segments::folder(key, id));
        // It looks for the mark even when nobody waits for it any more.
        let written = tokio::spawn(async move {
            let size = content.iter().map(Bytes::len).sum();
            let etag = container.put(&path, content).await?;
            if !container.exists(&mark).await? {
                container.delete(&path).await?;
                return Err(ObjectError::NotFound(mark));
            }
            Ok(Segment { file, size, etag }.to_string())
        });
        written.await.map_err(failed)?
    }

    async fn complete_parts(
        &self,
        key: &str,
        id: &str,
        parts: Vec<String>,
    ) -> Result<(), ObjectError> {
        let parsed: Option<Vec<Segment>> = parts.iter().map(|part| Segment::parse(part)).collect();
        let named = parsed.ok_or_else(|| failed("a part has a name that is none"))?;
        let folder = self.container.folder(&segments::folder(key, id));
        self.container.put_manifest(key, segments::manifest(&folder, &named)).await?;
        let files: Vec<String> = named.into_iter().map(|segment| segment.file).collect();
        if let Err(error) = self.tidy(key, id, &files).await {
            warn!(key, %error, "what an upload has left over stays until the next clean-up");
        }
        Ok(())
    }

    async fn abort_parts(&self, key: &str, id: &str) -> Result<(), ObjectError> {
        // What its segments are in is a blob, and only that can be deleted.
        if self.container.exists(key).await? {
            return self.tidy_complete(key, id).await;
        }
        self.tidy(key, id, &[]).await?;
        self.clear(&segments::folder(key, id), &[]).await
    }

    async fn unfinished(&self, folder: &str) -> Result<Vec<Unfinished>, ObjectError> {
        let mut marks = self.container.list(&segments::marks(folder));
        let mut found = Vec::new();
        while let Some(mark) = marks.try_next().await? {
            let Some((key, id)) = segments::marked(&mark.key) else { continue };
            if self.container.exists(key).await? {
                self.tidy_complete(key, id).await?;
                continue;
            }
            let (key, id) = (key.to_owned(), id.to_owned());
            found.push(Unfinished { key, id, begun: mark.modified });
        }
        Ok(found)
    }

    async fn presign(&self, key: &str, valid: Duration) -> Result<Option<String>, ObjectError> {
        match &self.addresses {
            Some(addresses) => addresses.of(&self.container, key, valid).await,
            None => Ok(None),
        }
    }
}

impl SwiftObjects {
    /// Deletes what a complete object does not need of the try that made it.
    async fn tidy_complete(&self, key: &str, id: &str) -> Result<(), ObjectError> {
        let manifest = self.container.manifest(key).await?;
        let files = segments::files(&manifest).map_err(failed)?;
        self.tidy(key, id, &files).await
    }

    /// Deletes all segments but the ones of these files, then the mark.
    async fn tidy(&self, key: &str, id: &str, keep: &[String]) -> Result<(), ObjectError> {
        self.clear(&segments::folder(key, id), keep).await?;
        self.container.delete(&segments::mark(key, id)).await
    }

    async fn clear(&self, folder: &str, keep: &[String]) -> Result<(), ObjectError> {
        let listed: Vec<Listed> = self.container.list(folder).try_collect().await?;
        let kept = |key: &str| keep.iter().any(|file| key.rsplit('/').next() == Some(file));
        let gone = listed.into_iter().filter(|listed| !kept(&listed.key));
        stream::iter(gone.map(Ok))
            .try_for_each_concurrent(DELETIONS, |listed| async move {
                self.container.delete(&listed.key).await
            })
            .await
    }
}
