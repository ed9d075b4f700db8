use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey};
use thiserror::Error;

/// Algorithms that tokens may be signed by.
#[derive(Clone, PartialEq, Eq)]
pub struct Algorithms(Vec<Algorithm>);

impl Algorithms {
    /// All that are safe and known here.
    pub fn all() -> Self {
        Self(KNOWN.iter().map(|(_, algorithm)| *algorithm).collect())
    }

    /// Those of some names.
    ///
    /// # Errors
    /// Names the one that is not known, or not safe.
    pub fn named<N: AsRef<str>>(names: &[N]) -> Result<Self, AlgorithmError> {
        let named = |name: &N| {
            let found = KNOWN.iter().find(|(known, _)| *known == name.as_ref());
            found
                .map(|(_, algorithm)| *algorithm)
                .ok_or_else(|| AlgorithmError(name.as_ref().to_owned()))
        };
        names.iter().map(named).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn contains(&self, algorithm: Algorithm) -> bool {
        self.0.contains(&algorithm)
    }
}

impl fmt::Debug for Algorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const KNOWN: [(&str, Algorithm); 9] = [
    ("EdDSA", Algorithm::EdDSA),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
];

/// An algorithm that no token may be signed by.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is none of EdDSA, ES256, ES384, PS256, PS384, PS512, RS256, RS384, RS512")]
pub struct AlgorithmError(pub String);

/// A public key, and what it is good for.
#[derive(Clone)]
pub(super) struct PublicKey {
    /// What tokens call it: its `kid`, and what others derive from it.
    pub(super) ids: Vec<String>,
    pub(super) key: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("ids", &self.ids).finish_non_exhaustive()
    }
}

impl PublicKey {
    /// The key of a JWK; `None` where it is of a kind that is not taken, a shared secret for one.
    pub(super) fn of_jwk(jwk: &Jwk) -> Option<Self> {
        use Algorithm as A;
        let algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => {
                vec![A::RS256, A::RS384, A::RS512, A::PS256, A::PS384, A::PS512]
            }
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => vec![A::ES256],
                EllipticCurve::P384 => vec![A::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                vec![A::EdDSA]
            }
            _ => return None,
        };
        let key = DecodingKey::from_jwk(jwk).ok()?;
        let mut ids: Vec<String> = jwk.common.key_id.iter().cloned().collect();
        ids.extend(jwk.thumbprint(ThumbprintHash::SHA256).ok());
        Some(Self { ids, key, algorithms })
    }
}
