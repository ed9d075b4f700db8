use std::time::Duration;

use berth_oci::{Digest, RepositoryName};
use bytes::{Buf, Bytes};
use tokio::time::sleep;

use crate::{BlobStream, ClientError, RegistryClient};

/// How often a blob is taken up again of which nothing has come since the last time.
const TRIES: u32 = 3;

/// How long to wait before the second try, and twice as long before each further.
const PAUSE: Duration = Duration::from_millis(200);

/// The bytes of a blob on their way, taken up again at the next byte where they break off. Nothing is
/// verified.
#[derive(Debug)]
pub struct ResumingBlob {
    client: RegistryClient,
    repository: RepositoryName,
    digest: Digest,
    stream: BlobStream,
    size: Option<u64>,
    /// The place of the next byte in the blob.
    offset: u64,
    /// How often it broke off since the last byte.
    broken: u32,
}

impl ResumingBlob {
    /// The size of the whole blob, if the registry said it.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The place of the next byte in the blob.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// When the registry gives no more, however often it is asked.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            match self.stream.next().await {
                Ok(None) => return Ok(None),
                Ok(Some(bytes)) => {
                    if let Some(bytes) = self.fresh(bytes) {
                        self.offset += bytes.len() as u64;
                        self.broken = 0;
                        return Ok(Some(bytes));
                    }
                }
                Err(error) => self.take_up_again(error).await?,
            }
        }
    }

    /// What of these bytes was not given yet: a registry that knows no ranges begins anew.
    fn fresh(&self, mut bytes: Bytes) -> Option<Bytes> {
        let begin = self.stream.offset() - bytes.len() as u64;
        let known = self.offset.saturating_sub(begin).min(bytes.len() as u64);
        // No more than there are.
        bytes.advance(known as usize);
        (!bytes.is_empty()).then_some(bytes)
    }

    async fn take_up_again(&mut self, error: ClientError) -> Result<(), ClientError> {
        let mut failure = error;
        while failure.is_outage() && self.broken < TRIES {
            if self.broken > 0 {
                sleep(PAUSE * 2u32.saturating_pow(self.broken - 1)).await;
            }
            self.broken += 1;
            match self.client.blob(&self.repository, &self.digest, self.offset).await {
                Ok(stream) if self.size.is_none() || self.size == stream.size() => {
                    self.stream = stream;
                    return Ok(());
                }
                Ok(_) => {
                    return Err(ClientError::Nonsense {
                        registry: self.client.url().authority(),
                        reason: format!("the blob {} has another size than before", self.digest),
                    });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

impl RegistryClient {
    /// A blob from the byte `from` on, taken up again where it breaks off.
    ///
    /// # Errors
    /// When it does not begin. See [`ClientError`].
    pub async fn resuming_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        from: u64,
    ) -> Result<ResumingBlob, ClientError> {
        let stream = self.blob(repository, digest, from).await?;
        Ok(ResumingBlob {
            client: self.clone(),
            repository: repository.clone(),
            digest: *digest,
            size: stream.size(),
            stream,
            offset: from,
            broken: 0,
        })
    }
}
