//! Repositories whose content comes from other registries: what is not here, or may have moved there,
//! is fetched, kept as if it had been pushed, and served while it comes.

mod blobs;
mod eviction;
mod listings;
mod manifests;
mod prefetch;
mod status;

pub(crate) use blobs::PulledBlob;
pub(crate) use manifests::Note;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use berth_metadata::{FetchKey, ManifestRecord, Mirrored, Origins};
use berth_mirror::{Arriving, Flights, MirrorBound, MirrorError, MirrorStatus, Mirrors, Source};
use berth_oci::{Digest, Reference, RepositoryName, Tag};
use futures_util::future::BoxFuture;
use quick_cache::sync::Cache;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::debug;

use crate::{Registry, RegistryError};

/// How many tags are remembered to be fresh.
const FRESH: usize = 100_000;

/// How long a hold on a fetch outlives the last word of its holder.
const LEASE: Duration = Duration::from_secs(15);

/// How often a holder says that it is there.
const RENEWAL: Duration = Duration::from_secs(5);

/// How often it is asked whether another process has fetched something.
const POLL: Duration = Duration::from_millis(100);

/// What the registry knows of its mirrors.
#[derive(Debug)]
pub(crate) struct Mirroring {
    mirrors: Mirrors,
    manifests: Flights<(RepositoryName, Reference), Result<Arc<ManifestRecord>, MirrorError>>,
    blobs: Flights<(RepositoryName, Digest), Result<Arriving, MirrorError>>,
    /// Tags that need not be looked at, with what they point to, until when.
    fresh: Cache<(RepositoryName, Tag), (Digest, Instant)>,
    /// A blob has come to a mirror that may not keep everything.
    grown: Notify,
}

impl Mirroring {
    pub(crate) fn new(mirrors: Mirrors) -> Self {
        Self {
            mirrors,
            manifests: Flights::new(),
            blobs: Flights::new(),
            fresh: Cache::new(FRESH),
            grown: Notify::new(),
        }
    }

    /// What a repository of another registry is called here, where a mirror stands for that.
    pub(crate) fn local_name(&self, host: &str, name: &RepositoryName) -> Option<RepositoryName> {
        self.mirrors.local_name(host, name)
    }

    /// How much the mirrors may keep that may not keep everything.
    pub(crate) fn bounds(&self) -> Vec<MirrorBound> {
        self.mirrors.bounds()
    }

    /// Whether what the repository has fetched may have to go some day.
    pub(crate) fn is_bounded(&self, repository: &RepositoryName) -> bool {
        self.source(repository).is_some_and(|source| source.is_bounded())
    }

    /// What is known of the mirrors.
    pub(crate) fn status(&self) -> Vec<MirrorStatus> {
        self.mirrors.status()
    }

    /// How what is found in the storage came there, as far as mirrors tell: where nobody may push it was fetched.
    pub(crate) fn origins(&self) -> Origins {
        let mirrors = self.mirrors.clone();
        Origins::new(move |repository| {
            let source = mirrors.source(repository).filter(|source| !source.allows_push())?;
            let upstream = source.first_upstream()?.to_owned();
            Some(Mirrored::Fetched { upstream, prefix: source.prefix() })
        })
    }

    /// Where a repository's content comes from, if a mirror covers it.
    pub(crate) fn source(&self, repository: &RepositoryName) -> Option<Source> {
        self.mirrors.source(repository)
    }
}

impl Default for Mirroring {
    fn default() -> Self {
        Self::new(Mirrors::default())
    }
}

impl Registry {
    /// Refuses what would change a mirror that nobody may push into.
    pub(crate) fn refuse_push_into_mirror(
        &self,
        repository: &RepositoryName,
    ) -> Result<(), RegistryError> {
        match self.mirror.source(repository) {
            Some(source) if !source.allows_push() => {
                Err(RegistryError::Mirrored(repository.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Does `fetch` while no other process fetches the same, or waits for the other one until
    /// `is_here` says that it is done: then nothing is fetched, which is told as `None`.
    async fn as_only_fetcher<'a, T>(
        &self,
        key: &FetchKey,
        is_here: impl Fn() -> BoxFuture<'a, Result<bool, RegistryError>>,
        fetch: impl Future<Output = T>,
    ) -> Result<Option<T>, RegistryError> {
        while !self.metadata.hold_fetch(key, LEASE).await? {
            sleep(POLL).await;
            if is_here().await? {
                return Ok(None);
            }
        }
        // Another one may have ended since somebody looked.
        if is_here().await? {
            self.metadata.release_fetch(key).await?;
            return Ok(None);
        }
        let fetched = tokio::select! {
            biased;
            fetched = fetch => fetched,
            never = self.keep_holding(key) => match never {},
        };
        // What cannot be let go of now ends by itself.
        if let Err(error) = self.metadata.release_fetch(key).await {
            debug!(%key, %error, "the hold on a fetch stays for a while");
        }
        Ok(Some(fetched))
    }

    async fn keep_holding(&self, key: &FetchKey) -> Infallible {
        loop {
            sleep(RENEWAL).await;
            // Who has lost the hold goes on all the same: what comes twice is the same twice.
            if let Err(error) = self.metadata.hold_fetch(key, LEASE).await {
                debug!(%key, %error, "the hold on a fetch was not renewed");
            }
        }
    }
}

/// What an upstream gave is not kept here.
fn unkept(reason: impl ToString) -> MirrorError {
    MirrorError::Unkept { reason: reason.to_string() }
}
