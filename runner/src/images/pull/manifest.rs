//! What is small: manifests and configurations, verified before anything is believed.

use berth_client::{ClientError, ManifestAnswer};
use berth_oci::{Descriptor, Digest, Hasher, Manifest, ManifestKind, Reference};

use super::super::config::{self, ImageConfig};
use super::super::error::ImageError;
use super::super::name::ImageReference;
use super::super::registry::Source;
use super::super::store::LONGEST_MANIFEST;
use super::{Pull, refused};

/// A manifest, as it came.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) digest: Digest,
    pub(super) manifest: Manifest,
    pub(super) bytes: Vec<u8>,
}

impl Found {
    /// What it lists, where it is an index.
    pub(super) fn index(&self) -> Option<&[Descriptor]> {
        match &self.manifest.kind {
            ManifestKind::Index { manifests } => Some(manifests),
            ManifestKind::Image { .. } => None,
        }
    }

    pub(super) fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.manifest.media_type.clone(),
            digest: self.digest,
            size: self.bytes.len() as u64,
            urls: Vec::new(),
            artifact_type: None,
            annotations: None,
            platform: None,
        }
    }
}

impl Pull<'_> {
    /// The manifest of a reference; one that is here is not asked for.
    pub(super) fn manifest(
        &self,
        source: &Source,
        name: &ImageReference,
        reference: &Reference,
    ) -> Result<Found, ImageError> {
        if let Reference::Digest(digest) = reference
            && let Ok(bytes) = self.images.read(digest)
        {
            return found(name, *digest, None, bytes);
        }
        let answer =
            source.client.manifest(&source.repository, reference, None, LONGEST_MANIFEST as usize);
        let answer = self.runtime.block_on(answer).map_err(|error| refused("pull", name, error))?;
        let ManifestAnswer::Manifest(remote) = answer else {
            return Err(ImageError::Registry(ClientError::Nonsense {
                registry: source.client.url().authority(),
                reason: "a manifest that is unchanged since never".to_owned(),
            }));
        };
        let expected = match reference {
            Reference::Digest(digest) => Some(*digest),
            Reference::Tag(_) => remote.head.digest,
        };
        let algorithm = expected.map(|digest| digest.algorithm()).unwrap_or_default();
        let actual = Hasher::digest(algorithm, &remote.payload);
        if let Some(expected) = expected.filter(|expected| *expected != actual) {
            let what = format!("the manifest of {}", name.familiar());
            return Err(ImageError::digest(what, expected, actual));
        }
        found(name, actual, remote.head.media_type.as_deref(), remote.payload.into())
    }

    /// The configuration that a manifest names.
    pub(super) fn config(
        &self,
        source: &Source,
        name: &ImageReference,
        descriptor: &Descriptor,
    ) -> Result<ImageConfig, ImageError> {
        let blobs = self.images.blobs();
        if blobs.has(&descriptor.digest, descriptor.size)
            && let Ok(bytes) = self.images.read(&descriptor.digest)
        {
            return ImageConfig::parse(&bytes);
        }
        let fetch = fetch(source, descriptor);
        let bytes = self.runtime.block_on(fetch).map_err(|error| refused("pull", name, error))?;
        let actual = Hasher::digest(descriptor.digest.algorithm(), &bytes);
        if actual != descriptor.digest {
            let what = format!("the configuration of {}", name.familiar());
            return Err(ImageError::digest(what, descriptor.digest, actual));
        }
        let config = ImageConfig::parse(&bytes)?;
        blobs.write_as(actual, &bytes)?;
        Ok(config)
    }
}

fn found(
    name: &ImageReference,
    digest: Digest,
    media_type: Option<&str>,
    bytes: Vec<u8>,
) -> Result<Found, ImageError> {
    let manifest = Manifest::parse(media_type, &bytes)
        .map_err(|error| ImageError::not_an_image(name.familiar(), error))?;
    Ok(Found { digest, manifest, bytes })
}

/// A small blob; no more of it than it should have, and a byte that shows where there is more.
async fn fetch(source: &Source, descriptor: &Descriptor) -> Result<Vec<u8>, ClientError> {
    let most = descriptor.size.min(config::LONGEST) as usize + 1;
    let mut blob = source.client.resuming_blob(&source.repository, &descriptor.digest, 0).await?;
    let mut bytes = Vec::new();
    while bytes.len() < most
        && let Some(more) = blob.next().await?
    {
        bytes.extend_from_slice(&more[..more.len().min(most - bytes.len())]);
    }
    Ok(bytes)
}
