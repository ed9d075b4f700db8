use std::time::SystemTime;

use berth_metadata::{FoundManifest, NewManifest};
use berth_oci::{Child, Digest, Hasher, Manifest, RepositoryName};
use berth_storage_backends::{StoreError, StoreFiles, tree};
use bytes::Bytes;

/// The largest manifest that is read, in bytes. Registries take 4 MiB.
const LARGEST: u64 = 64 << 20;

/// The link of a repository to a manifest.
#[derive(Clone, Debug)]
pub(super) struct Revision {
    pub(super) repository: RepositoryName,
    pub(super) digest: Digest,
    pub(super) written_at: SystemTime,
}

/// Reads a manifest that a tree has; a text tells why it cannot be taken.
///
/// # Errors
/// When the store fails otherwise than by not having it.
pub(super) async fn read(
    files: &dyn StoreFiles,
    revision: &Revision,
) -> Result<Result<FoundManifest, String>, StoreError> {
    match files.read(&tree::data(&revision.digest), LARGEST).await {
        Ok(payload) => Ok(parse(revision, None, payload)),
        Err(StoreError::NotFound) => Ok(Err("its bytes are not there".to_owned())),
        Err(StoreError::Io(error)) => Ok(Err(format!("its bytes cannot be read: {error}"))),
        Err(error) => Err(error),
    }
}

/// A manifest of these bytes; a text tells why it is none.
pub(super) fn parse(
    revision: &Revision,
    media_type: Option<&str>,
    payload: Bytes,
) -> Result<FoundManifest, String> {
    let digest = revision.digest;
    if Hasher::digest(digest.algorithm(), &payload) != digest {
        return Err(format!("its {} bytes are not what the digest says", payload.len()));
    }
    let manifest = Manifest::parse(media_type, &payload).map_err(|error| error.to_string())?;
    let (mut blobs, mut manifests, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    for child in manifest.children() {
        match child {
            Child::Blob(blob) => {
                blobs.push((blob.digest, false));
                sizes.push((blob.digest, blob.size));
            }
            Child::Manifest(child) => manifests.push((child.digest, false)),
        }
    }
    let subject = manifest.subject.as_ref().map(|subject| subject.digest);
    let manifest = NewManifest {
        repository: revision.repository.clone(),
        digest,
        media_type: manifest.media_type,
        payload,
        blobs,
        manifests,
        subject,
        artifact_type: manifest.artifact_type,
        annotations: manifest.annotations,
        tags: Vec::new(),
        immutable_tags: Vec::new(),
        mirrored: None,
        events: Vec::new(),
    };
    Ok(FoundManifest { manifest, sizes, written_at: revision.written_at })
}
