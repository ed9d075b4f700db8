use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use thiserror::Error;

use super::key::PublicKey;
use super::{IssuedToken, LEEWAY, TokenError};

/// A key that was made for signing.
#[derive(Clone)]
pub struct NewKey {
    /// Its name, the thumbprint of its public part (RFC 7638).
    pub id: String,
    /// The private key, in PKCS#8 DER.
    pub private: Vec<u8>,
}

impl NewKey {
    /// Makes a key on the curve P-256.
    ///
    /// # Errors
    /// When the system has no random numbers to give.
    pub fn generate() -> Result<Self, SigningError> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| SigningError::Random)?;
        let private = document.as_ref().to_vec();
        let id = OwnKey::read(String::new(), &private)?.thumbprint()?;
        Ok(Self { id, private })
    }
}

/// The keys that Berth signs its tokens with: the newest signs, all verify.
pub struct OwnKeys {
    keys: Vec<OwnKey>,
}

impl std::fmt::Debug for OwnKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

struct OwnKey {
    id: String,
    private: EncodingKey,
    public: PublicKey,
    jwk: Jwk,
}

impl OwnKey {
    fn read(id: String, private: &[u8]) -> Result<Self, SigningError> {
        let private = EncodingKey::from_ec_der(private);
        let mut jwk =
            Jwk::from_encoding_key(&private, Algorithm::ES256).map_err(|_| SigningError::Key)?;
        jwk.common.key_id = Some(id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let public = PublicKey::of_jwk(&jwk).ok_or(SigningError::Key)?;
        Ok(Self { id, private, public, jwk })
    }

    fn thumbprint(&self) -> Result<String, SigningError> {
        self.jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| SigningError::Key)
    }
}

impl OwnKeys {
    /// The keys of some names and private parts, the newest first.
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub fn new<'k>(
        keys: impl IntoIterator<Item = (&'k str, &'k [u8])>,
    ) -> Result<Self, SigningError> {
        let keys: Vec<_> = keys
            .into_iter()
            .map(|(id, private)| OwnKey::read(id.to_owned(), private))
            .collect::<Result<_, _>>()?;
        match keys.is_empty() {
            true => Err(SigningError::NoKey),
            false => Ok(Self { keys }),
        }
    }

    /// Signs a token.
    ///
    /// # Errors
    /// When the key does not sign.
    pub fn sign(&self, token: &IssuedToken) -> Result<String, SigningError> {
        let newest = self.keys.first().ok_or(SigningError::NoKey)?;
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(newest.id.clone());
        jsonwebtoken::encode(&header, token, &newest.private).map_err(|_| SigningError::Key)
    }

    /// Reads a token that one of the keys has signed, for a service.
    ///
    /// # Errors
    /// When it was not signed by them, its time is over or has not come, or it is of another issuer or
    /// for another service.
    pub fn verify(
        &self,
        token: &str,
        issuer: &str,
        service: &str,
    ) -> Result<IssuedToken, TokenError> {
        let header = jsonwebtoken::decode_header(token)?;
        let id = header.kid.ok_or(TokenError::UnknownKey)?;
        let key = self.keys.iter().find(|key| key.id == id).ok_or(TokenError::UnknownKey)?;
        let mut validation = jsonwebtoken::Validation::new(Algorithm::ES256);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[service]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        Ok(jsonwebtoken::decode(token, &key.public.key, &validation)?.claims)
    }

    /// Whether a token says that one of these keys has signed it.
    pub fn is_of_these(&self, token: &str) -> bool {
        let id = jsonwebtoken::decode_header(token).ok().and_then(|header| header.kid);
        id.is_some_and(|id| self.keys.iter().any(|key| key.id == id))
    }

    /// The names of the keys, the newest first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// The public parts, as a JWK set.
    pub fn jwks(&self) -> JwkSet {
        JwkSet { keys: self.keys.iter().map(|key| key.jwk.clone()).collect() }
    }
}

/// Why nothing can be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SigningError {
    /// The system has no random numbers to give.
    #[error("the system gives no random numbers")]
    Random,
    /// A key is damaged.
    #[error("a signing key of the database cannot be read")]
    Key,
    /// There is no key.
    #[error("there is no signing key")]
    NoKey,
}
