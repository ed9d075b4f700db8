use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use berth_client::{ClientError, ManifestAnswer, ManifestHead, RegistryClient};
use berth_config::Mirror as Settings;
use berth_oci::{Descriptor, Digest, Hasher, Reference, RepositoryName, RepositoryPrefix, Tag};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http::HeaderValue;
use quick_cache::sync::Cache;

use crate::fetch::Fetch;
use crate::upstream::Upstream;
use crate::via::OwnName;
use crate::{MirrorError, UpstreamStatus, Via, WrongDigest};

/// How many things that are not there are remembered.
const ABSENT: usize = 10_000;

/// A part of the repositories, and where its content comes from.
#[derive(Debug)]
pub(crate) struct Mirror {
    settings: Settings,
    pub(crate) upstreams: Vec<Upstream>,
    /// Until when it need not be asked for.
    absent: Cache<(RepositoryName, String), Instant>,
    /// When an upstream last gave what it was asked for.
    answered_at: Mutex<Option<Instant>>,
}

impl Mirror {
    pub(crate) fn new(settings: Settings) -> Result<Self, String> {
        let upstreams = settings.upstreams.iter().map(Upstream::new).collect::<Result<_, _>>()?;
        let (absent, answered_at) = (Cache::new(ABSENT), Mutex::default());
        Ok(Self { settings, upstreams, absent, answered_at })
    }

    pub(crate) fn prefix(&self) -> &RepositoryPrefix {
        self.settings.prefix.prefix()
    }

    pub(crate) fn covers(&self, repository: &RepositoryName) -> bool {
        self.settings.prefix.covers(repository)
    }

    pub(crate) fn stands_for(&self, host: &str) -> bool {
        self.settings.host.as_deref() == Some(host)
    }

    pub(crate) fn status(&self) -> MirrorStatus {
        let answered_at = *self.answered_at.lock().unwrap_or_else(PoisonError::into_inner);
        MirrorStatus {
            prefix: self.settings.prefix.to_string(),
            age: answered_at.map(|at| at.elapsed()),
            upstreams: self.upstreams.iter().map(Upstream::status).collect(),
        }
    }

    pub(crate) fn bound(&self) -> Option<MirrorBound> {
        let bytes = self.settings.maxsize?.bytes();
        Some(MirrorBound { prefix: self.prefix().clone(), bytes })
    }

    pub(crate) fn answered(&self) {
        *self.answered_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// What is known of a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorStatus {
    /// Its prefix.
    pub prefix: String,
    /// How long ago an upstream last gave what it was asked for; nothing before the first time.
    pub age: Option<Duration>,
    /// Its upstreams.
    pub upstreams: Vec<UpstreamStatus>,
}

/// How much a mirror may keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorBound {
    /// Its prefix.
    pub prefix: RepositoryPrefix,
    /// Bytes of blobs.
    pub bytes: u64,
}

/// Where the content of one repository comes from.
#[derive(Clone, Debug)]
pub struct Source {
    pub(crate) mirror: Arc<Mirror>,
    /// The name behind the prefix.
    name: RepositoryName,
    own_name: OwnName,
    /// Who passes the requests on.
    hops: Option<HeaderValue>,
}

/// A manifest that came from upstream: its bytes have its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedManifest {
    /// Its digest.
    pub digest: Digest,
    /// What upstream says it is, without parameters.
    pub media_type: Option<String>,
    /// Its bytes.
    pub payload: Bytes,
    /// The upstream that it came from.
    pub upstream: String,
}

impl Source {
    /// None for the prefix itself, which has no name there.
    pub(crate) fn of(
        mirror: Arc<Mirror>,
        repository: &RepositoryName,
        own_name: OwnName,
    ) -> Option<Self> {
        let prefix = mirror.prefix().as_str();
        let rest = repository.as_str().strip_prefix(prefix)?;
        let name = rest.strip_prefix('/').unwrap_or(rest).parse().ok()?;
        let hops = own_name.behind(&Via::default()).ok();
        Some(Self { mirror, name, own_name, hops })
    }

    /// The same source, for a request that was passed on already.
    ///
    /// # Errors
    /// [`MirrorError::Loop`], when it has come from here.
    pub fn behind(self, via: &Via) -> Result<Self, MirrorError> {
        let hops = Some(self.own_name.behind(via)?);
        Ok(Self { hops, ..self })
    }

    /// The client of an upstream, which says who passes its requests on.
    pub(crate) fn client(&self, upstream: &Upstream) -> RegistryClient {
        match &self.hops {
            Some(hops) => upstream.client.via(hops.clone()),
            None => upstream.client.clone(),
        }
    }

    /// How long a tag is served without a look whether it has moved; `None` for one that never moves.
    pub fn freshness(&self, tag: &Tag) -> Option<Duration> {
        let settings = &self.mirror.settings;
        let never_moves = settings.immutable.iter().any(|glob| glob.is_match(tag.as_str()));
        (!never_moves).then(|| settings.ttl.get())
    }

    /// Whether clients may push into the repository.
    pub fn allows_push(&self) -> bool {
        self.mirror.settings.push
    }

    /// Whether what a manifest is made of is fetched before somebody wants it.
    pub fn prefetches(&self) -> bool {
        self.mirror.settings.prefetch
    }

    /// Whether the mirror keeps no more than so much.
    pub fn is_bounded(&self) -> bool {
        self.mirror.settings.maxsize.is_some()
    }

    /// Whether a blob is fetched to its end when all who wanted it have gone.
    pub fn finishes(&self) -> bool {
        self.mirror.settings.finish
    }

    /// Whether nothing is asked of the upstreams.
    pub fn is_offline(&self) -> bool {
        self.mirror.settings.offline
    }

    /// The upstream that is asked before the others, as the operator knows it.
    pub fn first_upstream(&self) -> Option<&str> {
        self.mirror.upstreams.first().map(Upstream::name)
    }

    /// The prefix of the mirror, as it is written.
    pub fn prefix(&self) -> String {
        self.mirror.prefix().to_string()
    }

    /// What the upstreams say of a manifest.
    ///
    /// # Errors
    /// See [`MirrorError`].
    pub async fn manifest_head<'s>(
        &'s self,
        reference: &'s Reference,
    ) -> Result<ManifestHead, MirrorError> {
        self.ask(|upstream, name| {
            let client = self.client(upstream);
            async move { Ok(client.manifest_head(&name, reference).await?) }.boxed()
        })
        .await
    }

    /// A manifest of at most `longest` bytes; `None` when it is still the `known` one.
    ///
    /// # Errors
    /// See [`MirrorError`].
    pub async fn manifest<'s>(
        &'s self,
        reference: &'s Reference,
        known: Option<&'s Digest>,
        longest: usize,
    ) -> Result<Option<FetchedManifest>, MirrorError> {
        let ask = self.ask(|upstream, name| {
            let client = self.client(upstream);
            let ask = async move {
                upstream.take_request()?;
                let answer = client.manifest(&name, reference, known, longest).await?;
                let ManifestAnswer::Manifest(manifest) = answer else { return Ok(None) };
                let digest = verified(upstream, reference, &manifest.head, &manifest.payload)?;
                Ok(Some(FetchedManifest {
                    digest,
                    media_type: manifest.head.media_type,
                    payload: manifest.payload,
                    upstream: upstream.name().to_owned(),
                }))
            };
            ask.boxed()
        });
        self.unless_absent(&reference.to_string(), ask).await
    }

    /// The size of a blob, if the upstreams say it.
    ///
    /// # Errors
    /// See [`MirrorError`].
    pub async fn blob_size<'s>(&'s self, digest: &'s Digest) -> Result<Option<u64>, MirrorError> {
        let ask = self.ask(|upstream, name| {
            let client = self.client(upstream);
            async move { Ok(client.blob_size(&name, digest).await?) }.boxed()
        });
        self.unless_absent(&digest.to_string(), ask).await
    }

    /// Begins to fetch a blob.
    ///
    /// # Errors
    /// See [`MirrorError`].
    pub async fn blob(&self, digest: &Digest) -> Result<Fetch, MirrorError> {
        let begin = Fetch::begin(self.clone(), *digest);
        self.unless_absent(&digest.to_string(), begin).await
    }

    /// The first `limit` tags behind `after`, and whether there are more.
    ///
    /// # Errors
    /// See [`MirrorError`].
    pub async fn tags<'s>(
        &'s self,
        after: Option<&'s str>,
        limit: usize,
    ) -> Result<(Vec<Tag>, bool), MirrorError> {
        self.ask(|upstream, name| {
            let client = self.client(upstream);
            async move { Ok(client.tags(&name, after, limit).await?) }.boxed()
        })
        .await
    }

    /// What is attached to a manifest, where an upstream lists it.
    ///
    /// # Errors
    /// See [`MirrorError`].
    pub async fn referrers<'s>(
        &'s self,
        subject: &'s Digest,
    ) -> Result<Vec<Descriptor>, MirrorError> {
        self.ask(|upstream, name| {
            let client = self.client(upstream);
            async move { Ok(client.referrers(&name, subject).await?) }.boxed()
        })
        .await
    }

    /// What the repository is called at an upstream.
    pub(crate) fn name_at(&self, upstream: &Upstream) -> Result<RepositoryName, MirrorError> {
        upstream.client.url().repository(&self.name).map_err(|error| {
            MirrorError::Upstream(ClientError::NotFound {
                registry: upstream.name().to_owned(),
                what: format!("repository of such a name ({error})"),
            })
        })
    }

    /// Nothing is asked where that is the operator's will.
    pub(crate) fn refuse_offline(&self) -> Result<(), MirrorError> {
        match self.is_offline() {
            true => Err(MirrorError::Offline { prefix: self.prefix() }),
            false => Ok(()),
        }
    }

    /// Asks one upstream after the other, until one gives an answer. Of failures the first one that
    /// says more than that something is not there is told.
    async fn ask<'s, T>(
        &'s self,
        ask: impl Fn(&'s Upstream, RepositoryName) -> BoxFuture<'s, Result<T, MirrorError>>,
    ) -> Result<T, MirrorError> {
        self.refuse_offline()?;
        let mut failure: Option<MirrorError> = None;
        for upstream in &self.mirror.upstreams {
            let asked = match self.name_at(upstream) {
                Ok(name) => ask(upstream, name).await,
                Err(error) => Err(error),
            };
            match asked {
                Ok(answer) => {
                    self.mirror.answered();
                    return Ok(answer);
                }
                Err(error) => {
                    tracing::debug!(upstream = upstream.name(), %error, "an upstream did not serve");
                    failure = Some(worse(failure, error));
                }
            }
        }
        // A configuration without any upstream is refused.
        Err(failure.unwrap_or_else(|| MirrorError::Offline { prefix: self.prefix() }))
    }

    /// Asks, unless it is known that there is no such thing.
    async fn unless_absent<T>(
        &self,
        what: &str,
        ask: impl Future<Output = Result<T, MirrorError>>,
    ) -> Result<T, MirrorError> {
        let absent = &self.mirror.absent;
        let key = (self.name.clone(), what.to_owned());
        if absent.get(&key).is_some_and(|until| Instant::now() < until) {
            return Err(MirrorError::KnownAbsent { prefix: self.prefix() });
        }
        let answer = ask.await;
        let remembered = self.mirror.settings.negativettl.get();
        if answer.as_ref().is_err_and(MirrorError::is_not_found) && !remembered.is_zero() {
            absent.insert(key, Instant::now() + remembered);
        }
        answer
    }

    #[cfg(test)]
    pub(crate) fn describe(&self) -> String {
        let first = &self.mirror.upstreams[0];
        format!("{} {}", first.name(), self.name_at(first).unwrap())
    }
}

/// The one of two failures that says more.
pub(crate) fn worse(known: Option<MirrorError>, other: MirrorError) -> MirrorError {
    match known {
        Some(known) if !known.is_not_found() => known,
        _ => other,
    }
}

/// The digest of a manifest that came: that which it was asked for by, and that which its upstream says
/// it has.
fn verified(
    upstream: &Upstream,
    reference: &Reference,
    head: &ManifestHead,
    payload: &Bytes,
) -> Result<Digest, MirrorError> {
    let (expected, algorithm) = match reference {
        Reference::Digest(digest) => (Some(*digest), digest.algorithm()),
        Reference::Tag(_) => {
            (head.digest, head.digest.map(|digest| digest.algorithm()).unwrap_or_default())
        }
    };
    let actual = Hasher::digest(algorithm, payload);
    match expected {
        Some(expected) if expected != actual => {
            let upstream = upstream.name().to_owned();
            Err(Box::new(WrongDigest { upstream, expected, actual }).into())
        }
        _ => Ok(actual),
    }
}
