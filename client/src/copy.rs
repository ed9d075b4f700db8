//! Images from one registry to another, with all that they are made of and all that is attached.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use berth_oci::{
    Child, Descriptor, Digest, Hasher, Manifest, ManifestError, Reference, RepositoryName, Tag,
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use thiserror::Error;

use crate::{
    BegunUpload, ClientError, ManifestAnswer, RegistryClient, RemoteManifest, UploadSession,
};

/// How many blobs are under way at the same time.
const AT_A_TIME: usize = 4;

/// How often a blob is sent.
const TRIES: u32 = 5;

/// The longest manifest that is copied, in bytes.
const LONGEST_MANIFEST: usize = 8 << 20;

/// What a copy tells whoever watches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStep {
    /// A blob will be copied, of so many bytes.
    Begun(u64),
    /// So many bytes of blobs were read.
    Bytes(u64),
    /// A blob was there already, or could be linked.
    Present,
    /// A manifest was stored.
    Manifest,
}

/// Why an image could not be copied.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CopyError {
    /// One of the registries failed.
    #[error(transparent)]
    Registry(#[from] ClientError),
    /// A manifest cannot be read.
    #[error("the manifest {digest} cannot be copied: {error}")]
    Manifest {
        /// The manifest.
        digest: Digest,
        /// What is wrong.
        error: ManifestError,
    },
    /// A registry gave something else than was asked for.
    #[error("the source gave content with the digest {actual} for {expected}")]
    WrongDigest {
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
}

/// A repository of a registry.
#[derive(Clone, Debug)]
pub struct Place {
    /// The registry.
    pub client: RegistryClient,
    /// The repository.
    pub repository: RepositoryName,
}

/// A copy from one repository to another.
pub struct ImageCopy {
    from: Place,
    to: Place,
    tell: Box<dyn Fn(CopyStep) + Send + Sync>,
    /// What was begun already: images share blobs, and what is attached may be attached in a circle.
    seen: Mutex<HashSet<Digest>>,
}

impl ImageCopy {
    /// A copy that tells its steps.
    pub fn new(from: Place, to: Place, tell: impl Fn(CopyStep) + Send + Sync + 'static) -> Self {
        Self { from, to, tell: Box::new(tell), seen: Mutex::default() }
    }

    /// Copies an image for all platforms, with what is attached to it, and points `target` to it. What
    /// the target has already is left out, so that a copy that broke off goes on where it was.
    ///
    /// # Errors
    /// See [`CopyError`]. What was copied before stays.
    pub async fn run(&self, source: &Reference, target: &Reference) -> Result<Digest, CopyError> {
        let (digest, manifest) = self.manifest(source).await?;
        let (media_type, payload) = self.with_content(digest, manifest).await?;
        self.put(target, &media_type, payload).await?;
        Ok(digest)
    }

    /// Copies a manifest by its digest, after all that it is made of.
    fn by_digest(&self, digest: Digest) -> BoxFuture<'_, Result<(), CopyError>> {
        async move {
            if !self.is_new(digest) {
                return Ok(());
            }
            let (digest, manifest) = self.manifest(&Reference::Digest(digest)).await?;
            let (media_type, payload) = self.with_content(digest, manifest).await?;
            self.put(&Reference::Digest(digest), &media_type, payload).await
        }
        .boxed()
    }

    /// Copies what a manifest is made of and what is attached to it; gives it to be stored.
    async fn with_content(
        &self,
        digest: Digest,
        remote: RemoteManifest,
    ) -> Result<(String, Bytes), CopyError> {
        let payload = remote.payload;
        let manifest = Manifest::parse(remote.head.media_type.as_deref(), &payload)
            .map_err(|error| CopyError::Manifest { digest, error })?;
        let (mut blobs, mut children) = (Vec::new(), Vec::new());
        for child in manifest.children() {
            match child {
                Child::Blob(blob) => blobs.push(blob.clone()),
                Child::Manifest(child) => children.push(child.digest),
            }
        }
        let copies = blobs.into_iter().map(|blob| self.blob(blob).boxed());
        stream::iter(copies).buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await?;
        for child in children {
            self.by_digest(child).await?;
        }
        // The target takes what is attached before its subject is there.
        self.attached(digest).await?;
        Ok((manifest.media_type, payload))
    }

    /// Copies what is attached to a manifest: its referrers, and what tags attach as cosign does.
    fn attached(&self, subject: Digest) -> BoxFuture<'_, Result<(), CopyError>> {
        async move {
            self.referrers(subject).await?;
            self.tagged(subject).await
        }
        .boxed()
    }

    async fn referrers(&self, subject: Digest) -> Result<(), CopyError> {
        let Place { client, repository } = &self.from;
        match client.referrers(repository, &subject).await {
            Ok(referrers) => {
                for Descriptor { digest, .. } in referrers {
                    self.by_digest(digest).await?;
                }
            }
            // A registry without such listings: tags have what there is.
            Err(ClientError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn tagged(&self, subject: Digest) -> Result<(), CopyError> {
        let Place { client, repository } = &self.from;
        for tag in attached_tags(&subject) {
            let reference = Reference::Tag(tag);
            match client.manifest_head(repository, &reference).await {
                Ok(_) => {
                    let (digest, manifest) = self.manifest(&reference).await?;
                    if self.is_new(digest) {
                        let (media_type, payload) = self.with_content(digest, manifest).await?;
                        self.put(&reference, &media_type, payload).await?;
                    }
                }
                Err(ClientError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn manifest(&self, reference: &Reference) -> Result<(Digest, RemoteManifest), CopyError> {
        let Place { client, repository } = &self.from;
        let answer = client.manifest(repository, reference, None, LONGEST_MANIFEST).await?;
        let ManifestAnswer::Manifest(manifest) = answer else {
            return Err(ClientError::Nonsense {
                registry: client.url().authority(),
                reason: "a manifest that is unchanged since never".to_owned(),
            }
            .into());
        };
        let expected = match reference {
            Reference::Digest(digest) => Some(*digest),
            Reference::Tag(_) => manifest.head.digest,
        };
        let algorithm = expected.map(|digest| digest.algorithm()).unwrap_or_default();
        let actual = Hasher::digest(algorithm, &manifest.payload);
        match expected {
            Some(expected) if expected != actual => {
                Err(CopyError::WrongDigest { expected, actual })
            }
            _ => Ok((actual, manifest)),
        }
    }

    async fn put(
        &self,
        reference: &Reference,
        media_type: &str,
        payload: Bytes,
    ) -> Result<(), CopyError> {
        let Place { client, repository } = &self.to;
        client.put_manifest(repository, reference, media_type, payload).await?;
        (self.tell)(CopyStep::Manifest);
        Ok(())
    }

    async fn blob(&self, blob: Descriptor) -> Result<(), CopyError> {
        let digest = blob.digest;
        if !self.is_new(digest) {
            return Ok(());
        }
        let Place { client, repository } = &self.to;
        match client.blob_size(repository, &digest).await {
            Ok(_) => {
                (self.tell)(CopyStep::Present);
                return Ok(());
            }
            Err(ClientError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let is_same_registry = self.from.client.url() == client.url();
        let mount_from = Some(&self.from.repository).filter(|_| is_same_registry);
        match client.begin_upload(repository, &digest, mount_from).await? {
            BegunUpload::Mounted => (self.tell)(CopyStep::Present),
            BegunUpload::Session(session) => {
                (self.tell)(CopyStep::Begun(blob.size));
                self.send(session, &digest).await?;
            }
        }
        Ok(())
    }

    /// Sends a blob. When that breaks off it goes on where the target is, or begins anew where the target
    /// knows nothing of it any longer.
    async fn send(&self, mut session: UploadSession, digest: &Digest) -> Result<(), CopyError> {
        let Place { client, repository } = &self.to;
        let mut tries = 0;
        loop {
            let error = match self.append(&mut session, digest).await {
                Ok(()) => break,
                Err(error) => error,
            };
            tries += 1;
            if tries == TRIES {
                return Err(error.into());
            }
            let before = session.offset();
            if client.upload_status(&mut session).await.is_ok() && session.offset() > before {
                continue;
            }
            // Its bytes go with the session.
            session = match client.begin_upload(repository, digest, None).await? {
                BegunUpload::Mounted => return Ok(()),
                BegunUpload::Session(session) => session,
            };
        }
        Ok(client.finish_upload(session, digest).await?)
    }

    /// Sends the bytes behind those that the target has.
    async fn append(
        &self,
        session: &mut UploadSession,
        digest: &Digest,
    ) -> Result<(), ClientError> {
        let Place { client, repository } = &self.from;
        let blob = client.resuming_blob(repository, digest, session.offset()).await?;
        let read = Arc::new(AtomicU64::new(0));
        let counted = read.clone();
        let bytes = stream::try_unfold(blob, move |mut blob| {
            let counted = counted.clone();
            async move {
                let bytes = blob.next().await?;
                counted.fetch_add(bytes.as_ref().map_or(0, Bytes::len) as u64, Ordering::Relaxed);
                Ok(bytes.map(|bytes| (bytes, blob)))
            }
        });
        let sent = self.to.client.append(session, bytes).await;
        (self.tell)(CopyStep::Bytes(read.load(Ordering::Relaxed)));
        sent
    }

    fn is_new(&self, digest: Digest) -> bool {
        // Nothing panics while it holds the lock half-way through a change.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(digest)
    }
}

/// The tags that attach something to a manifest: those of cosign, and that of the specification for
/// registries without listings of referrers.
fn attached_tags(subject: &Digest) -> Vec<Tag> {
    let name = format!("{}-{}", subject.algorithm(), subject.hex());
    let tags = ["", ".sig", ".att", ".sbom"].map(|end| format!("{name}{end}").parse());
    tags.into_iter().filter_map(Result::ok).collect()
}
