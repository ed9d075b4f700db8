use berth_client::{ClientError, ResumingBlob};
use berth_oci::Digest;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tracing::info;

use crate::source::worse;
use crate::{MirrorError, Source};

/// A blob that is being fetched: where one upstream gives no more, the next one goes on at the same byte.
/// Its digest is for the reader to verify.
#[derive(Debug)]
pub struct Fetch {
    source: Source,
    digest: Digest,
    /// The place of the upstream in the list of the mirror.
    place: usize,
    blob: ResumingBlob,
    size: Option<u64>,
    /// The turn at that upstream.
    _turn: Option<OwnedSemaphorePermit>,
}

impl Fetch {
    pub(crate) async fn begin(source: Source, digest: Digest) -> Result<Self, MirrorError> {
        source.refuse_offline()?;
        let mut failure = None;
        for place in 0..source.mirror.upstreams.len() {
            match open(&source, place, &digest, 0).await {
                Ok((blob, turn)) => {
                    let size = blob.size();
                    source.mirror.answered();
                    return Ok(Self { source, digest, place, blob, size, _turn: turn });
                }
                Err(error) => failure = Some(worse(failure, error)),
            }
        }
        // A configuration without any upstream is refused.
        Err(failure.unwrap_or_else(|| MirrorError::Offline { prefix: source.prefix() }))
    }

    /// The number of bytes, if an upstream said it.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The upstream that the bytes come from at the moment.
    pub fn upstream(&self) -> &str {
        self.source.mirror.upstreams[self.place].name()
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// When no upstream goes on.
    pub async fn next(&mut self) -> Result<Option<Bytes>, MirrorError> {
        loop {
            match self.blob.next().await {
                Ok(None) => return Ok(None),
                Ok(Some(bytes)) => {
                    self.source.mirror.upstreams[self.place].count_bytes(bytes.len() as u64).await;
                    return Ok(Some(bytes));
                }
                Err(error) => self.go_on_elsewhere(error).await?,
            }
        }
    }

    async fn go_on_elsewhere(&mut self, error: ClientError) -> Result<(), MirrorError> {
        let mut failure = MirrorError::Upstream(error);
        let offset = self.blob.offset();
        while self.place + 1 < self.source.mirror.upstreams.len() {
            self.place += 1;
            let upstream = self.upstream();
            info!(upstream, digest = %self.digest, offset, error = %failure, "a fetch goes on at another upstream");
            match open(&self.source, self.place, &self.digest, offset).await {
                Ok((blob, turn)) if self.size.is_none() || self.size == blob.size() => {
                    (self.blob, self._turn) = (blob, turn);
                    return Ok(());
                }
                // It has other content under this digest: one of the two is wrong.
                Ok(_) => {}
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

async fn open(
    source: &Source,
    place: usize,
    digest: &Digest,
    from: u64,
) -> Result<(ResumingBlob, Option<OwnedSemaphorePermit>), MirrorError> {
    let upstream = &source.mirror.upstreams[place];
    let name = source.name_at(upstream)?;
    let turn = upstream.turn().await;
    upstream.take_request()?;
    Ok((source.client(upstream).resuming_blob(&name, digest, from).await?, turn))
}
