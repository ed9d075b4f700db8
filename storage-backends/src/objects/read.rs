use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use tracing::{error, warn};

use super::checksum::{Checksum, Running};
use super::{ObjectError, Objects};
use crate::{RemoteBlob, StoreError};

/// How many times in a row a stream that broke is taken up without a byte of progress.
const RESUMES: u32 = 3;

/// A blob in an object store, opened for reading.
#[derive(Debug)]
pub(super) struct RemoteObject {
    pub(super) objects: Arc<dyn Objects>,
    pub(super) key: String,
    /// How many bytes were stored and what they are, where that is known.
    pub(super) expected: Option<(u64, Checksum)>,
}

impl RemoteBlob for RemoteObject {
    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, StoreError>> {
        let reading = Reading {
            objects: Arc::clone(&self.objects),
            key: self.key.clone(),
            verify: self
                .expected
                .filter(|(size, _)| range == (0..*size))
                .map(|(_, expected)| Verify { passed: Running::new(), expected }),
            range,
            stream: None,
            broken: 0,
        };
        stream::unfold(Some(reading), |reading| async move { reading?.next().await }).boxed()
    }
}

/// A stream of bytes on its way.
struct Reading {
    objects: Arc<dyn Objects>,
    key: String,
    /// What is still to come.
    range: Range<u64>,
    stream: Option<BoxStream<'static, Result<Bytes, ObjectError>>>,
    /// How often the stream broke since the last byte.
    broken: u32,
    /// Checks the bytes as they pass, where all of them do.
    verify: Option<Verify>,
}

/// Bytes that pass, and what they are to be.
struct Verify {
    passed: Running,
    expected: Checksum,
}

impl Reading {
    /// The next bytes and what is to be read after them.
    async fn next(mut self) -> Option<(Result<Bytes, StoreError>, Option<Self>)> {
        while !self.range.is_empty() {
            let error = match self.advance().await {
                Ok(Some(bytes)) if self.are_wrong(&bytes) => {
                    error!(
                        key = self.key,
                        "the object store gave back other bytes than it was given"
                    );
                    let error = io::Error::other("the object's bytes are not what was stored");
                    return Some((Err(StoreError::Io(error)), None));
                }
                Ok(Some(bytes)) => return Some((Ok(bytes), Some(self))),
                // A store that sends less than it was asked for, and no error.
                Ok(None) => ObjectError::Failed("the object ended early".to_owned()),
                Err(error) => error,
            };
            self.stream = None;
            self.broken += 1;
            if self.broken > RESUMES || matches!(error, ObjectError::NotFound(_)) {
                return Some((Err(error.into()), None));
            }
            warn!(key = self.key, at = self.range.start, %error, "reading from the object store goes on after a break");
        }
        None
    }

    /// Whether these, the last ones, make the whole a wrong one. They are held back then, so that
    /// nobody takes it for complete.
    fn are_wrong(&mut self, bytes: &[u8]) -> bool {
        let Some(verify) = &mut self.verify else { return false };
        verify.passed.update(bytes);
        self.range.is_empty() && verify.passed.finish() != verify.expected
    }

    async fn advance(&mut self) -> Result<Option<Bytes>, ObjectError> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let stream = self.objects.get(&self.key, self.range.clone()).await?;
                self.stream.insert(stream)
            }
        };
        let Some(bytes) = stream.next().await.transpose()? else { return Ok(None) };
        let wanted = self.range.end - self.range.start;
        if bytes.len() as u64 > wanted {
            return Err(ObjectError::Failed("more bytes came than were asked for".to_owned()));
        }
        self.range.start += bytes.len() as u64;
        self.broken = 0;
        Ok(Some(bytes))
    }
}
