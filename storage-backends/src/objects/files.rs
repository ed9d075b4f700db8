use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use berth_oci::Digest;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};

use super::keys::Location;
use super::read::RemoteObject;
use super::upload::Parts;
use super::{ObjectError, Objects};
use crate::{BlobContent, Found, FoundFile, OpenBlob, StoreError, StoreFiles, tree};

/// How many objects are told of at a time.
const BATCH: usize = 1000;

/// Objects by their names.
#[derive(Clone, Debug)]
pub(super) struct ObjectFiles {
    objects: Arc<dyn Objects>,
    cut: Parts,
}

impl ObjectFiles {
    pub(super) fn new(objects: Arc<dyn Objects>, cut: Parts) -> Self {
        Self { objects, cut }
    }

    /// Writes the content in parts. `first` is the first of them, which is not the last.
    async fn write_in_parts(
        &self,
        name: &str,
        id: &str,
        first: Vec<Bytes>,
        content: &mut Cutter,
    ) -> Result<(), StoreError> {
        let mut parts = vec![self.objects.put_part(name, id, 0, first).await?];
        loop {
            let (part, is_last) = content.next(self.cut.size).await?;
            if !part.is_empty() {
                let index = parts.len();
                parts.push(self.objects.put_part(name, id, index, part).await?);
            }
            if is_last {
                return Ok(self.objects.complete_parts(name, id, parts).await?);
            }
        }
    }
}

#[async_trait]
impl StoreFiles for ObjectFiles {
    fn list(&self, folder: &str) -> BoxStream<'static, Result<Vec<Found>, StoreError>> {
        let prefix = match folder {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let listed = self.objects.list(&prefix).try_chunks(BATCH);
        let batch = listed.map_ok(|batch| {
            let file = |found: super::Listed| {
                let (name, size, modified) = (found.key, found.size, found.modified);
                Found::File(FoundFile { name, size, modified })
            };
            batch.into_iter().map(file).collect()
        });
        batch.map_err(|broken| broken.1.into()).boxed()
    }

    async fn read(&self, name: &str, limit: u64) -> Result<Bytes, StoreError> {
        let content = match self.objects.get(name, 0..limit + 1).await {
            Ok(stream) => stream.try_collect::<Vec<_>>().await?.concat(),
            Err(error @ ObjectError::NotFound(_)) => return Err(error.into()),
            // There is no range of an object without bytes.
            Err(error) => match self.objects.size(name).await? {
                0 => Vec::new(),
                _ => return Err(error.into()),
            },
        };
        if content.len() as u64 > limit {
            let reason = format!("it has more than the {limit} bytes that are expected");
            return Err(StoreError::Io(io::Error::other(reason)));
        }
        Ok(content.into())
    }

    async fn open(&self, name: &str) -> Result<OpenBlob, StoreError> {
        let size = self.objects.size(name).await?;
        let (objects, key) = (Arc::clone(&self.objects), name.to_owned());
        let object = RemoteObject { objects, key, expected: None };
        Ok(OpenBlob { size, content: BlobContent::Remote(Arc::new(object)) })
    }

    async fn write(
        &self,
        name: &str,
        content: BoxStream<'static, Result<Bytes, StoreError>>,
    ) -> Result<(), StoreError> {
        let mut content = Cutter { content, left: None };
        let (first, is_last) = content.next(self.cut.size).await?;
        if is_last {
            return Ok(self.objects.put(name, first).await?);
        }
        let id = self.objects.begin_parts(name).await?;
        let written = self.write_in_parts(name, &id, first, &mut content).await;
        if written.is_err() {
            // What stays is found among the uploads that were left unfinished, if the store tells of them.
            let _ = self.objects.abort_parts(name, &id).await;
        }
        written
    }

    async fn write_new(&self, name: &str, content: Bytes) -> Result<bool, StoreError> {
        match self.objects.put_new(name, vec![content]).await {
            Ok(()) => Ok(true),
            Err(ObjectError::Exists(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        Ok(self.objects.delete(name).await?)
    }

    fn location_in_tree(&self, digest: &Digest, size: u64) -> String {
        Location { size, key: &tree::data(digest), crc: None }.to_string()
    }
}

/// Cuts a stream into parts of one size.
struct Cutter {
    content: BoxStream<'static, Result<Bytes, StoreError>>,
    /// What came behind the end of the last part.
    left: Option<Bytes>,
}

impl Cutter {
    /// The next `size` bytes, or fewer at the end, and whether it is the end.
    async fn next(&mut self, size: usize) -> Result<(Vec<Bytes>, bool), StoreError> {
        let (mut part, mut len) = (Vec::new(), 0);
        loop {
            let piece = match self.left.take() {
                Some(piece) => Some(piece),
                None => self.content.next().await.transpose()?,
            };
            let Some(mut piece) = piece else { return Ok((part, true)) };
            if len + piece.len() > size {
                self.left = Some(piece.split_off(size - len));
            }
            len += piece.len();
            part.push(piece);
            if self.left.is_some() {
                return Ok((part, false));
            }
        }
    }
}
