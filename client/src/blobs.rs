use std::fmt;
use std::time::Duration;

use berth_oci::{Digest, RepositoryName};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE, VIA};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Response;
use tokio::time::timeout;

use crate::manifests::pull_scope;
use crate::options::in_words;
use crate::transport::Call;
use crate::{ClientError, RegistryClient};

/// The bytes of a blob on their way, from some offset on. Nothing is verified.
pub struct BlobStream {
    registry: String,
    response: Response,
    stall: Duration,
    /// The place of the next byte in the blob.
    offset: u64,
    /// The size of the whole blob, if it was said.
    size: Option<u64>,
}

impl BlobStream {
    /// The place of the next byte in the blob: not where it was asked for, where the registry knows no
    /// ranges.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The size of the whole blob, if the registry said it.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// When the stream breaks, or nothing comes for too long, or it ends before its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let read = timeout(self.stall, self.response.chunk()).await;
        match read {
            Err(_) => Err(self.broken(format!("nothing came for {:?}", self.stall))),
            Ok(Err(error)) => Err(self.broken(in_words(&error.without_url()))),
            Ok(Ok(Some(bytes))) => {
                self.offset += bytes.len() as u64;
                Ok(Some(bytes))
            }
            Ok(Ok(None)) if self.size.is_some_and(|size| self.offset < size) => {
                Err(self.broken("the blob ended early".to_owned()))
            }
            Ok(Ok(None)) => Ok(None),
        }
    }

    fn broken(&self, reason: String) -> ClientError {
        ClientError::Unavailable { registry: self.registry.clone(), reason }
    }
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStream")
            .field("offset", &self.offset)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl RegistryClient {
    /// The size of a blob, if the registry says it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn blob_size(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<u64>, ClientError> {
        let call = self.blob_call(Method::HEAD, repository, digest);
        let response = self.transport.send(&call).await?;
        Ok(number(response.headers().get(CONTENT_LENGTH)))
    }

    /// A blob from the byte `from` on. A registry that knows no ranges gives all of it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        from: u64,
    ) -> Result<BlobStream, ClientError> {
        let mut call = self.blob_call(Method::GET, repository, digest);
        if from > 0 {
            let range = HeaderValue::try_from(format!("bytes={from}-"));
            call.headers.extend(range.ok().map(|range| (RANGE, range)));
        }
        let response = self.transport.send(&call).await?;
        let headers = response.headers();
        let (offset, size) = match response.status() {
            StatusCode::PARTIAL_CONTENT => content_range(headers)
                .filter(|(first, _)| *first == from)
                .ok_or_else(|| self.transport.nonsense("another range than was asked for"))?,
            _ => (0, number(headers.get(CONTENT_LENGTH))),
        };
        let registry = self.transport.authority().to_owned();
        Ok(BlobStream { registry, response, stall: self.transport.stall_timeout(), offset, size })
    }

    fn blob_call(&self, method: Method, repository: &RepositoryName, digest: &Digest) -> Call {
        let url = self.url().join(&format!("{repository}/blobs/{digest}"));
        let what = format!("blob {digest} in {repository}");
        let mut call = Call::new(method, url, pull_scope(repository), what);
        call.headers.extend(self.via.clone().map(|hops| (VIA, hops)));
        call
    }
}

/// The first byte of a part, and the size of the whole.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (range, size) = text.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, size.trim().parse().ok()))
}

fn number(value: Option<&HeaderValue>) -> Option<u64> {
    value?.to_str().ok()?.parse().ok()
}
