use std::sync::Arc;
use std::time::{Duration, Instant};

use berth_metadata::{FetchKey, ManifestRecord};
use berth_mirror::{FetchedManifest, MirrorError, Source, Via};
use berth_oci::{Reference, RepositoryName, Tag};
use futures_util::FutureExt;
use tracing::{debug, warn};

use super::unkept;
use crate::notifications::Origin;
use crate::services::PushManifest;
use crate::services::manifests::Provenance;
use crate::{Registry, RegistryError};

/// What a client should know of a manifest that it gets.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// Whether it is still what its tag points to upstream is not known, for this reason.
    Stale(MirrorError),
    /// Its tag was pushed here, and stands before that of the upstream.
    Local,
}

/// What is known of a tag that is here.
enum Freshness {
    /// It need not be looked at.
    Fresh,
    /// It was pushed here.
    Local,
    /// It may have moved.
    Unknown,
}

impl Registry {
    /// The manifest that the reference names, fetched where it is not here or may be another one by now.
    pub(crate) async fn pull_manifest(
        self: &Arc<Self>,
        repository: &RepositoryName,
        reference: &Reference,
        via: &Via,
    ) -> Result<(Arc<ManifestRecord>, Option<Note>), RegistryError> {
        let Some(source) = self.mirror.source(repository) else {
            return Ok((self.manifest(repository, reference).await?, None));
        };
        let here = self.metadata.manifest(repository, reference).await?;
        if let Some(manifest) = &here {
            match self.freshness(&source, repository, reference, manifest).await? {
                Freshness::Fresh => {
                    self.metrics.mirror.hits.inc();
                    return Ok((manifest.clone(), None));
                }
                Freshness::Local => return Ok((manifest.clone(), Some(Note::Local))),
                Freshness::Unknown => {}
            }
        }
        let fetched = match source.behind(via) {
            Ok(source) => self.fetch_manifest(source, repository, reference, here.clone()).await,
            Err(error) => Err(error),
        };
        match fetched {
            Ok(manifest) => Ok((manifest, None)),
            Err(error) => match here {
                Some(manifest) => {
                    debug!(%repository, %reference, %error, "a manifest is served although its upstream does not say that it is current");
                    self.metrics.mirror.stale.inc();
                    Ok((manifest, Some(Note::Stale(error))))
                }
                None if error.is_not_found() => {
                    Err(RegistryError::ManifestUnknown(reference.clone()))
                }
                None => Err(error.into()),
            },
        }
    }

    async fn freshness(
        &self,
        source: &Source,
        repository: &RepositoryName,
        reference: &Reference,
        manifest: &ManifestRecord,
    ) -> Result<Freshness, RegistryError> {
        let Reference::Tag(tag) = reference else { return Ok(Freshness::Fresh) };
        let key = (repository.clone(), tag.clone());
        if let Some((digest, until)) = self.mirror.fresh.get(&key)
            && digest == manifest.digest
            && Instant::now() < until
        {
            return Ok(Freshness::Fresh);
        }
        let known = self.metadata.mirrored_tag(repository, tag).await?;
        let Some(known) = known.filter(|known| known.digest == manifest.digest) else {
            return Ok(Freshness::Local);
        };
        let left = match source.freshness(tag) {
            // Long enough, and remembered anew then.
            None => Duration::from_secs(24 * 60 * 60),
            Some(ttl) => ttl.saturating_sub(known.age),
        };
        if left.is_zero() {
            return Ok(Freshness::Unknown);
        }
        self.mirror.fresh.insert(key, (manifest.digest, Instant::now() + left));
        Ok(Freshness::Fresh)
    }

    /// Has the manifest fetched once for all that want it at the moment.
    async fn fetch_manifest(
        self: &Arc<Self>,
        source: Source,
        repository: &RepositoryName,
        reference: &Reference,
        here: Option<Arc<ManifestRecord>>,
    ) -> Result<Arc<ManifestRecord>, MirrorError> {
        let key = FetchKey { repository: repository.clone(), reference: reference.clone() };
        let registry = self.clone();
        let flight = (repository.clone(), reference.clone());
        let fetch = self.mirror.manifests.join(flight, |landing| async move {
            let before = here.as_ref().map(|here| here.digest);
            let fetched = registry.fetch_as_only_one(&source, &key, here).await;
            landing.tell(fetched.clone());
            if let Ok(manifest) = fetched
                && source.prefetches()
                && before != Some(manifest.digest)
            {
                tokio::spawn(registry.prefetch(source, key.repository, manifest));
            }
        });
        let (fetched, joined) = fetch.await;
        if joined {
            self.metrics.mirror.coalesced.inc();
        }
        fetched.unwrap_or_else(|| Err(unkept("the work on it ended early; the log says more")))
    }

    async fn fetch_as_only_one(
        &self,
        source: &Source,
        key: &FetchKey,
        here: Option<Arc<ManifestRecord>>,
    ) -> Result<Arc<ManifestRecord>, MirrorError> {
        let FetchKey { repository, reference } = key;
        let is_here = || self.is_current(source, repository, reference).boxed();
        let fetch = self.look_upstream(source, key, here);
        match self.as_only_fetcher(key, is_here, fetch).await.map_err(unkept)? {
            Some(fetched) => fetched,
            None => {
                let found = self.metadata.manifest(repository, reference).await.map_err(unkept)?;
                found.ok_or_else(|| unkept("it was deleted meanwhile"))
            }
        }
    }

    async fn is_current(
        &self,
        source: &Source,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<bool, RegistryError> {
        let Some(manifest) = self.metadata.manifest(repository, reference).await? else {
            return Ok(false);
        };
        let freshness = self.freshness(source, repository, reference, &manifest).await?;
        Ok(!matches!(freshness, Freshness::Unknown))
    }

    /// Asks the upstream whether the manifest is still the one that is here, and for the one that it is
    /// otherwise.
    async fn look_upstream(
        &self,
        source: &Source,
        key: &FetchKey,
        here: Option<Arc<ManifestRecord>>,
    ) -> Result<Arc<ManifestRecord>, MirrorError> {
        let FetchKey { repository, reference } = key;
        self.metrics.mirror.misses.inc();
        if let (Some(here), Reference::Tag(tag)) = (&here, reference) {
            // Upstreams count heads for less than manifests, or not at all.
            let unmoved = match source.manifest_head(reference).await {
                Ok(head) => head.digest == Some(here.digest),
                // Some answer only a GET as they should.
                Err(error) if error.is_answer() => false,
                Err(error) => return Err(error),
            };
            if unmoved {
                self.note_checked(source, repository, tag, here).await;
                return Ok(here.clone());
            }
        }
        let limit = self.config().http.limits.manifestsize.bytes();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let known = here.as_ref().map(|here| here.digest);
        let fetched = source.manifest(reference, known.as_ref(), limit).await?;
        match (fetched, here) {
            (Some(fetched), _) => self.keep_manifest(source, repository, reference, fetched).await,
            (None, Some(here)) => {
                if let Reference::Tag(tag) = reference {
                    self.note_checked(source, repository, tag, &here).await;
                }
                Ok(here)
            }
            (None, None) => {
                Err(unkept("the upstream says that it is unchanged, but it is not here"))
            }
        }
    }

    async fn note_checked(
        &self,
        source: &Source,
        repository: &RepositoryName,
        tag: &Tag,
        manifest: &ManifestRecord,
    ) {
        let digest = &manifest.digest;
        // Not to know it costs the next pull a look.
        if let Err(error) = self.metadata.mirrored_tag_checked(repository, tag, digest).await {
            debug!(%repository, %tag, %error, "that a tag is fresh was not noted");
        }
        if let Some(ttl) = source.freshness(tag).filter(|ttl| !ttl.is_zero()) {
            let key = (repository.clone(), tag.clone());
            self.mirror.fresh.insert(key, (*digest, Instant::now() + ttl));
        }
    }

    /// Stores what was fetched. When there is no room for it, it is served all the same.
    async fn keep_manifest(
        &self,
        source: &Source,
        repository: &RepositoryName,
        reference: &Reference,
        fetched: FetchedManifest,
    ) -> Result<Arc<ManifestRecord>, MirrorError> {
        let FetchedManifest { digest, media_type, payload, upstream } = fetched;
        let tags = match reference {
            Reference::Tag(tag) => vec![tag.clone()],
            Reference::Digest(_) => Vec::new(),
        };
        let push = PushManifest {
            repository: repository.clone(),
            reference: Reference::Digest(digest),
            tags,
            content_type: media_type.clone(),
            payload: payload.clone(),
            origin: Origin::default(),
        };
        let prefix = source.prefix();
        match self.store_manifest(push, Provenance::Fetched { upstream, prefix }).await {
            Ok(stored) => {
                Ok(Arc::new(ManifestRecord { digest, media_type: stored.media_type, payload }))
            }
            Err(
                error @ (RegistryError::ReadOnlyMode
                | RegistryError::NoSpace
                | RegistryError::QuotaExceeded(_)),
            ) => {
                warn!(%repository, %reference, %error, "a manifest that was fetched is not kept");
                let media_type = media_type.unwrap_or_default();
                Ok(Arc::new(ManifestRecord { digest, media_type, payload }))
            }
            Err(error) => Err(unkept(error)),
        }
    }
}
