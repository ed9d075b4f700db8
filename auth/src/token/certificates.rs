//! Keys that are known by certificates: `rootcertbundle` of `registry:2`.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{Algorithm, DecodingKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use thiserror::Error;
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey as Spki;

use super::KeySet;
use super::key::PublicKey;

/// Why certificates cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// There is none.
    #[error("it holds no certificate in PEM")]
    None,
    /// One cannot be read.
    #[error("a certificate cannot be read: {0}")]
    Malformed(String),
    /// One has a key that no token can be signed by.
    #[error("a certificate has a key that is neither RSA, EC on P-256 or P-384, nor Ed25519")]
    Key,
}

/// The keys of the certificates of a PEM file, and the certificates.
pub(super) fn read(pem: &str) -> Result<(KeySet, Vec<CertificateDer<'static>>), CertificateError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| CertificateError::Malformed(error.to_string()))?;
    if certificates.is_empty() {
        return Err(CertificateError::None);
    }
    let keys = certificates.iter().map(key_of).collect::<Result<_, _>>()?;
    Ok((KeySet { keys }, certificates))
}

fn key_of(certificate: &CertificateDer<'_>) -> Result<PublicKey, CertificateError> {
    use Algorithm as A;
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| CertificateError::Malformed(error.to_string()))?;
    let info = parsed.public_key();
    let (key, algorithms) = match info.parsed() {
        Ok(Spki::RSA(rsa)) => {
            // Numbers stand in a certificate with a zero before them, so that they are positive.
            let [modulus, exponent] = [rsa.modulus, rsa.exponent].map(without_zeros);
            let key = DecodingKey::from_rsa_raw_components(modulus, exponent);
            (key, vec![A::RS256, A::RS384, A::RS512, A::PS256, A::PS384, A::PS512])
        }
        Ok(Spki::EC(point)) => {
            let algorithm = match point.key_size() {
                256 => A::ES256,
                384 => A::ES384,
                _ => return Err(CertificateError::Key),
            };
            (DecodingKey::from_ec_der(point.data()), vec![algorithm])
        }
        _ if info.algorithm.algorithm.to_id_string() == "1.3.101.112" => {
            (DecodingKey::from_ed_der(&info.subject_public_key.data), vec![A::EdDSA])
        }
        _ => return Err(CertificateError::Key),
    };
    Ok(PublicKey { ids: vec![libtrust_id(info.raw)], key, algorithms })
}

fn without_zeros(mut number: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = number {
        number = rest;
    }
    number
}

/// What Docker's libtrust calls a key, and with it the token servers made for `registry:2`: the
/// first 240 bits of the SHA-256 of its public part in base 32, in groups of four.
fn libtrust_id(public_key_info: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let hash = digest(&SHA256, public_key_info);
    let mut id = String::with_capacity(59);
    for (group, bytes) in hash.as_ref()[..30].chunks(5).enumerate() {
        let bits = bytes.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in 0..8 {
            if place % 4 == 0 && (group, place) != (0, 0) {
                id.push(':');
            }
            let index = (bits >> (35 - 5 * place)) & 31;
            // Writing into a string does not fail.
            let _ = write!(id, "{}", char::from(ALPHABET[index as usize]));
        }
    }
    id
}

/// The key of the first certificate of a chain, if one of the roots stands behind it.
pub(super) fn key_of_chain(
    chain: Vec<Vec<u8>>,
    roots: &[CertificateDer<'static>],
) -> Option<PublicKey> {
    let chain: Vec<CertificateDer<'static>> = chain.into_iter().map(Into::into).collect();
    let (first, rest) = chain.split_first()?;
    if roots.contains(first) {
        return key_of(first).ok();
    }
    let anchors: Vec<_> =
        roots.iter().filter_map(|root| anchor_from_trusted_cert(root).ok()).collect();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    EndEntityCert::try_from(first)
        .ok()?
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            rest,
            UnixTime::since_unix_epoch(now.unwrap_or(Duration::ZERO)),
            AnyUsage,
            None,
            None,
        )
        .ok()?;
    key_of(first).ok()
}

/// Certificates of token servers are for whatever: `registry:2` does not look.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}
