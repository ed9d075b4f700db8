use std::sync::Arc;

use berth_config::Policy;
use berth_metadata::{ManifestRecord, Mirrored, NewManifest, PutManifest};
use berth_oci::{
    Algorithm, Child, Descriptor, Digest, Hasher, Manifest, ManifestKind, Reference,
    RepositoryName, Tag,
};
use bytes::Bytes;

use crate::notifications::{Origin, ToldManifest};
use crate::{Registry, RegistryError};

/// A manifest as it comes from a client.
#[derive(Debug)]
pub(crate) struct PushManifest {
    pub(crate) repository: RepositoryName,
    pub(crate) reference: Reference,
    /// Tags beside the reference, for a push by digest.
    pub(crate) tags: Vec<Tag>,
    /// The announced media type, without parameters.
    pub(crate) content_type: Option<String>,
    pub(crate) payload: Bytes,
    pub(crate) origin: Origin,
}

/// Where a manifest comes from.
#[derive(Debug)]
pub(super) enum Provenance {
    /// A client pushes it, after what it references.
    Pushed,
    /// It was fetched from an upstream, and what it references comes when somebody wants it.
    Fetched {
        /// The upstream.
        upstream: String,
        /// The prefix of the mirror.
        prefix: String,
    },
}

/// The content that a manifest references, each with whether it must be in the repository.
#[derive(Debug, Default)]
struct References {
    blobs: Vec<(Digest, bool)>,
    manifests: Vec<(Digest, bool)>,
}

/// What a client is told of a manifest that was stored.
#[derive(Debug)]
pub(crate) struct PushedManifest {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) subject: Option<Digest>,
}

impl Registry {
    /// The manifest that the reference names.
    pub(crate) async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Arc<ManifestRecord>, RegistryError> {
        let manifest = self.metadata.manifest(repository, reference).await?;
        manifest.ok_or_else(|| RegistryError::ManifestUnknown(reference.clone()))
    }

    /// Stores a manifest that a client pushes, and points its tags to it.
    pub(crate) async fn push_manifest(
        &self,
        push: PushManifest,
    ) -> Result<PushedManifest, RegistryError> {
        self.store_manifest(push, Provenance::Pushed).await
    }

    /// Stores a manifest and points its tags to it.
    pub(super) async fn store_manifest(
        &self,
        push: PushManifest,
        provenance: Provenance,
    ) -> Result<PushedManifest, RegistryError> {
        self.refuse_when_read_only()?;
        let digest = match &push.reference {
            Reference::Digest(digest) => {
                let actual = Hasher::digest(digest.algorithm(), &push.payload);
                super::ingest::verify(digest, actual)?;
                actual
            }
            Reference::Tag(_) => Hasher::digest(Algorithm::Sha256, &push.payload),
        };
        let manifest = Manifest::parse(push.content_type.as_deref(), &push.payload)?;
        self.check_urls(&manifest)?;
        let References { blobs, manifests } = self.references(&manifest, &provenance);
        let mut tags = push.tags;
        if let Reference::Tag(tag) = push.reference {
            tags.push(tag);
        }
        let subject = manifest.subject.map(|subject| subject.digest);
        let told = ToldManifest {
            repository: &push.repository,
            digest,
            media_type: &manifest.media_type,
            payload: &push.payload,
        };
        self.refuse_manifest_over_quota(&push.repository, &digest, &tags).await?;
        let events = self.notifications.pushed_manifest(&push.origin, told, &tags);
        let config = self.config();
        let immutable = |tag: &Tag| config.policy.immutable(push.repository.as_str(), tag.as_str());
        let is_pushed = matches!(provenance, Provenance::Pushed);
        let immutable_tags = tags.iter().filter(|tag| immutable(tag).is_some()).cloned().collect();
        let put = self.metadata.put_manifest(NewManifest {
            repository: push.repository.clone(),
            digest,
            media_type: manifest.media_type.clone(),
            payload: push.payload,
            blobs,
            manifests,
            subject,
            artifact_type: manifest.artifact_type,
            annotations: manifest.annotations,
            tags,
            immutable_tags,
            mirrored: match provenance {
                Provenance::Fetched { upstream, prefix } => {
                    Some(Mirrored::Fetched { upstream, prefix })
                }
                Provenance::Pushed => {
                    self.mirror.source(&push.repository).map(|_| Mirrored::Pushed)
                }
            },
            events: events.clone(),
        });
        match put.await? {
            PutManifest::Stored => {
                self.notifications.recorded(&events);
                if let Some(observer) = self.push_observer.as_ref().filter(|_| is_pushed) {
                    observer.pushed(&push.repository, &digest, &manifest.kind);
                }
                Ok(PushedManifest { digest, media_type: manifest.media_type, subject })
            }
            PutManifest::Missing(missing) => Err(RegistryError::ManifestBlobUnknown(missing)),
            PutManifest::Immutable(tag) => {
                Err(immutable_tag(&config.policy, &push.repository, tag))
            }
        }
    }

    fn check_urls(&self, manifest: &Manifest) -> Result<(), RegistryError> {
        let ManifestKind::Image { blobs, foreign } = &manifest.kind else { return Ok(()) };
        let validation = &self.config().validation;
        let mut urls = blobs.iter().chain(foreign).flat_map(|layer| &layer.urls);
        match urls.find(|url| !validation.permits_url(url)) {
            Some(url) => Err(RegistryError::UrlDenied(url.clone())),
            None => Ok(()),
        }
    }

    /// The content that the manifest references.
    fn references(&self, manifest: &Manifest, provenance: &Provenance) -> References {
        let config = self.config();
        let is_pushed = matches!(provenance, Provenance::Pushed);
        let References { mut blobs, mut manifests } = References::default();
        for child in manifest.children() {
            match child {
                Child::Blob(blob) => {
                    let required = is_pushed && config.validation.requires_blobs();
                    blobs.push((blob.digest, required));
                }
                Child::Manifest(child) => {
                    let required = is_pushed && is_required(&config.validation, child);
                    manifests.push((child.digest, required));
                }
            }
        }
        References { blobs, manifests }
    }
}

/// Why a tag stays as it is, by the policy that told the store so.
pub(super) fn immutable_tag(
    policy: &Policy,
    repository: &RepositoryName,
    tag: Tag,
) -> RegistryError {
    match policy.immutable(repository.as_str(), tag.as_str()) {
        Some(rule) => RegistryError::TagImmutable { tag, rule },
        None => RegistryError::Internal { cause: format!("no rule makes the tag {tag} immutable") },
    }
}

fn is_required(validation: &berth_config::Validation, child: &Descriptor) -> bool {
    let platform = child.platform.as_ref().map(|platform| berth_config::Platform {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone(),
    });
    validation.requires_child(platform.as_ref())
}
