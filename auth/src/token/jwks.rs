use jsonwebtoken::jwk::{Jwk, JwkSet};
use thiserror::Error;

use super::key::PublicKey;

/// The public keys of somebody who signs tokens (RFC 7517).
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    pub(super) keys: Vec<PublicKey>,
}

impl KeySet {
    /// Reads a JWK set, or one JWK. Keys of kinds that are not taken are left out.
    ///
    /// # Errors
    /// When it is neither, or has no key that can be used.
    pub fn parse(json: &str) -> Result<Self, JwksError> {
        let jwks = serde_json::from_str(json)
            .or_else(|_| serde_json::from_str::<Jwk>(json).map(|jwk| JwkSet { keys: vec![jwk] }))
            .map_err(|error| JwksError::Malformed(error.to_string()))?;
        let keys: Vec<_> = jwks.keys.iter().filter_map(PublicKey::of_jwk).collect();
        match keys.is_empty() {
            true => Err(JwksError::NoKey),
            false => Ok(Self { keys }),
        }
    }

    /// These keys and those.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self
    }

    /// Whether it has a key of this name.
    pub fn has(&self, id: &str) -> bool {
        self.find(id).is_some()
    }

    pub(super) fn find(&self, id: &str) -> Option<&PublicKey> {
        self.keys.iter().find(|key| key.ids.iter().any(|known| known == id))
    }
}

/// Why a set of keys cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JwksError {
    /// It is no JWK set.
    #[error("it is no JSON Web Key Set: {0}")]
    Malformed(String),
    /// It has no key that tokens may be signed by.
    #[error("it has no key that tokens may be signed by (RSA, EC on P-256 or P-384, Ed25519)")]
    NoKey,
}
