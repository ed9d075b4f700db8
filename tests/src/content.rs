//! Blobs and manifests made up for a test.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};

/// An OCI image manifest.
pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A Docker schema 2 manifest.
pub const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Some bytes and their name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// `sha256:…`
    pub digest: String,
}

impl Blob {
    /// These bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self { digest: sha256(&bytes), bytes }
    }

    /// `len` bytes that look random and are the same for the same seed.
    #[must_use]
    pub fn random(seed: u64, len: usize) -> Self {
        Self::new(random_bytes(seed, len))
    }

    /// What a manifest says of it.
    #[must_use]
    pub fn descriptor(&self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}

/// A manifest as it is pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// `sha256:…`
    pub digest: String,
}

impl Manifest {
    /// The manifest that `value` is, of the media type that it says.
    #[must_use]
    pub fn new(value: &Value) -> Self {
        let media_type = value["mediaType"].as_str().unwrap_or_default().to_owned();
        // A second reader of the text may not tidy it up: the spaces must come back.
        let bytes = format!("{value:#}\n").into_bytes();
        Self { media_type, digest: sha256(&bytes), bytes }
    }

    /// An image of a config and layers.
    #[must_use]
    pub fn image(config: &Blob, layers: &[&Blob]) -> Self {
        Self::new(&image(config, layers))
    }

    /// An index of manifests.
    #[must_use]
    pub fn index(children: &[&Self]) -> Self {
        Self::new(&index(children))
    }

    /// What an index says of it.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}

/// The value of an OCI image, to be changed by a test.
#[must_use]
pub fn image(config: &Blob, layers: &[&Blob]) -> Value {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| layer.descriptor("application/vnd.oci.image.layer.v1.tar"))
        .collect();
    json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
        "layers": layers,
    })
}

/// The value of an OCI index, to be changed by a test.
#[must_use]
pub fn index(children: &[&Manifest]) -> Value {
    let manifests: Vec<_> = children.iter().map(|child| child.descriptor()).collect();
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests })
}

/// The digest of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// The other digest of some bytes.
#[must_use]
pub fn sha512(bytes: &[u8]) -> String {
    format!("sha512:{}", hex::encode(Sha512::digest(bytes)))
}

/// Bytes of a small generator (xorshift64*): cheap, and no two positions alike.
#[must_use]
pub fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&random.next_u64().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A generator of numbers that are the same for the same seed, on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // The state may not be zero, and small seeds should not begin alike.
        Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`, which is more than 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }

    /// One of the items, of which there is at least one.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}
