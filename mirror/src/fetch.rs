use std::time::Duration;

use berth_client::{BlobStream, ClientError};
use berth_oci::Digest;
use bytes::{Buf, Bytes};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;
use tracing::info;

use crate::source::worse;
use crate::{MirrorError, Source};

/// How often a fetch is taken up again that has brought nothing since the last time.
const TRIES: u32 = 3;

/// How long to wait before the second try of the same upstream, and twice as long before each further.
const PAUSE: Duration = Duration::from_millis(200);

/// A blob that is being fetched: where it breaks off it is taken up again at the next byte, at the same
/// upstream or the next one. Its digest is for the reader to verify.
#[derive(Debug)]
pub struct Fetch {
    source: Source,
    digest: Digest,
    /// The place of the upstream in the list of the mirror.
    place: usize,
    stream: BlobStream,
    size: Option<u64>,
    /// How many bytes were given.
    given: u64,
    /// How often it broke off since the last byte.
    broken: u32,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Fetch {
    pub(crate) async fn begin(source: Source, digest: Digest) -> Result<Self, MirrorError> {
        source.refuse_offline()?;
        let mut failure = None;
        for place in 0..source.mirror.upstreams.len() {
            match open(&source, place, &digest, 0).await {
                Ok((stream, turn)) => {
                    let size = stream.size();
                    let (given, broken) = (0, 0);
                    return Ok(Self {
                        source,
                        digest,
                        place,
                        stream,
                        size,
                        given,
                        broken,
                        _turn: turn,
                    });
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
            match self.stream.next().await {
                Ok(None) => return Ok(None),
                Ok(Some(bytes)) => {
                    if let Some(bytes) = self.fresh(bytes) {
                        self.given += bytes.len() as u64;
                        self.broken = 0;
                        self.source.mirror.upstreams[self.place].count_bytes(bytes.len() as u64);
                        return Ok(Some(bytes));
                    }
                }
                Err(error) => self.take_up_again(error).await?,
            }
        }
    }

    /// What of these bytes was not given yet: an upstream that knows no ranges begins anew.
    fn fresh(&self, mut bytes: Bytes) -> Option<Bytes> {
        let end = self.stream.offset();
        let begin = end - bytes.len() as u64;
        let known = self.given.saturating_sub(begin).min(bytes.len() as u64);
        // No more than there are.
        bytes.advance(known as usize);
        (!bytes.is_empty()).then_some(bytes)
    }

    async fn take_up_again(&mut self, error: ClientError) -> Result<(), MirrorError> {
        let mut failure = error;
        loop {
            if self.broken == TRIES {
                self.place += 1;
                self.broken = 0;
            }
            if self.place == self.source.mirror.upstreams.len() {
                self.place -= 1;
                return Err(failure.into());
            }
            let upstream = self.upstream();
            info!(upstream, digest = %self.digest, offset = self.given, error = %failure, "a fetch broke off and is taken up again");
            if self.broken > 0 {
                sleep(PAUSE * 2u32.saturating_pow(self.broken - 1)).await;
            }
            self.broken += 1;
            match self.reopen().await {
                Ok(()) => return Ok(()),
                Err(MirrorError::Upstream(error)) => {
                    if !error.is_outage() {
                        // It will say the same the next time.
                        self.broken = TRIES;
                    }
                    failure = error;
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Goes on with the next byte.
    async fn reopen(&mut self) -> Result<(), MirrorError> {
        let upstream = &self.source.mirror.upstreams[self.place];
        let name = self.source.name_at(upstream)?;
        let stream = upstream.client.blob(&name, &self.digest, self.given).await?;
        if let (Some(known), Some(said)) = (self.size, stream.size())
            && known != said
        {
            return Err(MirrorError::Upstream(ClientError::NotFound {
                registry: upstream.name().to_owned(),
                what: format!("blob {} of {known} bytes, but one of {said}", self.digest),
            }));
        }
        self.size = self.size.or(stream.size());
        self.stream = stream;
        Ok(())
    }
}

async fn open(
    source: &Source,
    place: usize,
    digest: &Digest,
    from: u64,
) -> Result<(BlobStream, Option<OwnedSemaphorePermit>), MirrorError> {
    let upstream = &source.mirror.upstreams[place];
    let name = source.name_at(upstream)?;
    let turn = upstream.turn().await;
    upstream.take_request()?;
    Ok((upstream.client.blob(&name, digest, from).await?, turn))
}
