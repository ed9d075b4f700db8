use jsonwebtoken::{Header, Validation};
use rustls_pki_types::CertificateDer;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::certificates::{self, CertificateError};
use super::key::{Algorithms, PublicKey};
use super::{KeySet, LEEWAY, TokenError};
use crate::AccessList;

/// A server whose tokens are taken: what `auth.token` of `registry:2` is about.
#[derive(Clone, Debug)]
pub struct TrustedServer {
    issuer: String,
    service: String,
    algorithms: Algorithms,
    keys: KeySet,
    /// Those that may stand behind a chain of certificates in a token.
    roots: Vec<CertificateDer<'static>>,
}

/// What a token of another server says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ForeignToken {
    /// Who has it.
    #[serde(rename = "sub", default)]
    pub subject: String,
    /// Until when it is good, in seconds since 1970.
    #[serde(rename = "exp")]
    pub expires: u64,
    /// What it is for.
    #[serde(default)]
    pub access: AccessList,
}

impl TrustedServer {
    /// A server that calls itself `issuer`, and the registry `service`.
    pub fn new(issuer: String, service: String, algorithms: Algorithms) -> Self {
        Self { issuer, service, algorithms, keys: KeySet::default(), roots: Vec::new() }
    }

    /// Trusts the keys of a set.
    #[must_use]
    pub fn with_keys(mut self, keys: KeySet) -> Self {
        self.keys = self.keys.and(keys);
        self
    }

    /// Trusts the keys of certificates, and whatever they have signed.
    ///
    /// # Errors
    /// When the text holds no certificate, or one that cannot be read or has another kind of key.
    pub fn with_certificates(mut self, pem: &str) -> Result<Self, CertificateError> {
        let (keys, roots) = certificates::read(pem)?;
        self.keys = self.keys.and(keys);
        self.roots.extend(roots);
        Ok(self)
    }

    /// Reads a token of the server's for this registry.
    ///
    /// # Errors
    /// When it is not the server's, not for this registry, or not good now.
    pub fn verify(&self, token: &str) -> Result<ForeignToken, TokenError> {
        let header = jsonwebtoken::decode_header(token)?;
        if !self.algorithms.contains(header.alg) {
            return Err(TokenError::Algorithm);
        }
        let key = self.key_for(&header)?;
        verify(token, &header, &key, &self.issuer, &self.service)
    }

    fn key_for(&self, header: &Header) -> Result<PublicKey, TokenError> {
        if let Some(chain) = header.x5c_der().map_err(|_| TokenError::Malformed)? {
            return certificates::key_of_chain(chain, &self.roots).ok_or(TokenError::UnknownKey);
        }
        match &header.kid {
            Some(id) => self.keys.find(id).cloned().ok_or(TokenError::UnknownKey),
            // A server of one key need not say which.
            None => match &*self.keys.keys {
                [key] => Ok(key.clone()),
                _ => Err(TokenError::UnknownKey),
            },
        }
    }
}

/// Reads the claims of a token that one of some keys has signed.
pub(crate) fn verify_with<C: DeserializeOwned>(
    token: &str,
    issuer: &str,
    audience: &str,
    keys: &KeySet,
) -> Result<C, TokenError> {
    let header = jsonwebtoken::decode_header(token)?;
    let id = header.kid.as_deref().ok_or(TokenError::UnknownKey)?;
    let key = keys.find(id).ok_or(TokenError::UnknownKey)?;
    verify(token, &header, key, issuer, audience)
}

/// Verifies a token against a key, its issuer and whom it is for, and reads its claims.
fn verify<C: DeserializeOwned>(
    token: &str,
    header: &Header,
    key: &PublicKey,
    issuer: &str,
    audience: &str,
) -> Result<C, TokenError> {
    if !key.algorithms.contains(&header.alg) {
        return Err(TokenError::Algorithm);
    }
    let mut validation = Validation::new(header.alg);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    Ok(jsonwebtoken::decode(token, &key.key, &validation)?.claims)
}
