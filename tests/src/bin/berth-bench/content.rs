//! What is pushed and pulled.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use berth_oci::{Algorithm, Digest, Hasher};

use crate::settings::{KIB, MIB};

pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const LAYERS: usize = 5;

const BLOCK: usize = MIB as usize;

/// Bytes that no other content has, made as they are needed: a random block again and again, each time with another
/// beginning.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) digest: Digest,
    pub(crate) len: u64,
    block: Vec<u8>,
}

impl Content {
    pub(crate) fn new(len: u64) -> Self {
        let mut random = Random::new();
        let mut block = vec![0; BLOCK];
        random.fill(&mut block);
        let mut content = Self { digest: Hasher::new(Algorithm::Sha256).finish(), len, block };
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut copy = content.clone();
        let _: Result<(), ()> = copy.blocks(|block| {
            hasher.update(block);
            Ok(())
        });
        content.digest = hasher.finish();
        content
    }

    /// Gives all bytes in their order, at most 1 MiB at a time.
    pub(crate) fn blocks<E>(
        &mut self,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut left = self.len;
        let mut number: u64 = 0;
        while left > 0 {
            self.block[..8].copy_from_slice(&number.to_le_bytes());
            let len = left.min(BLOCK as u64);
            each(&self.block[..len as usize])?;
            left -= len;
            number += 1;
        }
        Ok(())
    }
}

/// Where a blob lies in the tree of a registry, the file `data` that has its bytes.
pub(crate) fn blob_data(root: &Path, digest: &Digest) -> PathBuf {
    berth_tests::tree::blob_data(root, &digest.to_string())
}

/// A small blob.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
}

impl Blob {
    pub(crate) fn random(random: &mut Random, len: u64) -> Self {
        let mut bytes = vec![0; len as usize];
        random.fill(&mut bytes);
        Self::of(bytes)
    }

    fn of(bytes: Vec<u8>) -> Self {
        Self { digest: Hasher::digest(Algorithm::Sha256, &bytes), bytes }
    }
}

/// An image as clients push it: its blobs, and a manifest of a usual size.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) blobs: Vec<Blob>,
    pub(crate) manifest: Vec<u8>,
    pub(crate) digest: Digest,
}

impl Image {
    pub(crate) fn new() -> Self {
        let mut random = Random::new();
        let blobs: Vec<Blob> = (0..=LAYERS).map(|_| Blob::random(&mut random, 4 * KIB)).collect();
        let parts: Vec<(Digest, u64)> =
            blobs.iter().map(|blob| (blob.digest, blob.bytes.len() as u64)).collect();
        let manifest = manifest(&parts, None);
        let digest = Hasher::digest(Algorithm::Sha256, &manifest);
        Self { blobs, manifest, digest }
    }
}

/// An image manifest over a config and layers, with a revision to tell it from others.
pub(crate) fn manifest(parts: &[(Digest, u64)], revision: Option<u32>) -> Vec<u8> {
    let part = |kind: &str, (digest, size): &(Digest, u64)| {
        format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}}}"#)
    };
    let (config, layers) = match parts.split_first() {
        Some((config, layers)) => (part(CONFIG_TYPE, config), layers),
        None => (String::new(), parts),
    };
    let layers: Vec<String> = layers.iter().map(|layer| part(LAYER_TYPE, layer)).collect();
    let annotations = revision.map_or_else(String::new, |revision| {
        format!(r#","annotations":{{"org.opencontainers.image.revision":"{revision}"}}"#)
    });
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":{config},"layers":[{}]{annotations}}}"#,
        layers.join(",")
    )
    .into_bytes()
}

/// Random numbers that need not be secret (splitmix64).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(now.as_nanos() as u64)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_content_is_that_of_its_blocks() {
        let mut content = Content::new(3 * MIB + 5);
        let mut bytes = Vec::new();
        let _: Result<(), ()> = content.blocks(|block| {
            bytes.extend_from_slice(block);
            Ok(())
        });
        assert_eq!(bytes.len() as u64, 3 * MIB + 5);
        assert_eq!(Hasher::digest(Algorithm::Sha256, &bytes), content.digest);
        assert_ne!(bytes[..8], bytes[BLOCK..BLOCK + 8]);
    }

    #[test]
    fn manifests_are_what_registries_take() {
        let image = Image::new();
        let parsed = berth_oci::Manifest::parse(Some(MANIFEST_TYPE), &image.manifest);
        assert!(parsed.is_ok(), "{parsed:?}");
    }
}
