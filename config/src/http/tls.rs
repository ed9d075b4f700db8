//! The `http.tls` section.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Opaque;

/// HTTPS: with a certificate and its key `http.addr` speaks TLS and nothing else. The files are read again when they
/// change, and on SIGHUP at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The certificate of this server in PEM, with those of the authorities between it and a root after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-type" = "path"))]
    pub certificate: Option<PathBuf>,
    /// The certificate's private key in PEM, not encrypted. Others must not be able to read the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-type" = "path"))]
    pub key: Option<PathBuf>,
    /// Paths of files with the certificates, in PEM, of the authorities whose clients are let in.
    pub clientcas: Vec<PathBuf>,
    /// Whether clients must show a certificate of these authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend(
        "x-berth-default" = "`require-and-verify-client-cert` when `clientcas` names some",
        "x-berth-refused-choices" = [
            ["request-client-cert", "a certificate that nobody verifies says nothing about its client"],
            ["require-any-client-cert", "a certificate that nobody verifies says nothing about its client"]
        ]
    ))]
    pub clientauth: Option<ClientAuth>,
    /// The oldest version of TLS that is spoken.
    #[schemars(extend("x-berth-refused-choices" = [
        ["tls1.0", "it is broken (RFC 8996)"],
        ["tls1.1", "it is broken (RFC 8996)"]
    ]))]
    pub minimumtls: TlsVersion,
    /// The cipher suites that are offered; none named are all. Those named for TLS 1.2 leave TLS 1.3 with all of its
    /// own, as in `registry:2`; name some of TLS 1.3 to choose among those as well.
    pub ciphersuites: Vec<CipherSuite>,
    /// Certificates from an ACME authority.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-refused" = "this build of berth asks no authority for certificates yet: remove the section, let an ACME client such as certbot renew the files, and name them in `http.tls.certificate` and `http.tls.key`; a renewal is taken over by itself"))]
    pub letsencrypt: Opaque,
}

impl Tls {
    /// The files of the certificate and of its key; `None` where plain HTTP is spoken.
    pub fn pair(&self) -> Option<(&Path, &Path)> {
        Some((self.certificate.as_deref()?, self.key.as_deref()?))
    }

    /// What is asked of clients; `None` where no certificate is.
    pub fn client_auth(&self) -> Option<ClientAuth> {
        let required = ClientAuth::Required;
        (!self.clientcas.is_empty()).then(|| self.clientauth.unwrap_or(required))
    }
}

/// Whether clients must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ClientAuth {
    /// They may; one that is shown must be good.
    #[serde(rename = "verify-client-cert-if-given")]
    IfGiven,
    /// They must.
    #[serde(rename = "require-and-verify-client-cert")]
    Required,
}

/// A version of TLS.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum TlsVersion {
    /// TLS 1.2, for clients from before 2020.
    #[default]
    #[serde(rename = "tls1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "tls1.3")]
    V1_3,
}

/// A cipher suite, by the name that the standards and `registry:2` have for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CipherSuite {
    /// Of TLS 1.3.
    #[serde(rename = "TLS_AES_128_GCM_SHA256")]
    Aes128,
    /// Of TLS 1.3.
    #[serde(rename = "TLS_AES_256_GCM_SHA384")]
    Aes256,
    /// Of TLS 1.3.
    #[serde(rename = "TLS_CHACHA20_POLY1305_SHA256")]
    Chacha20,
    /// Of TLS 1.2, with an ECDSA key.
    #[serde(rename = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")]
    EcdsaAes128,
    /// Of TLS 1.2, with an ECDSA key.
    #[serde(rename = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")]
    EcdsaAes256,
    /// Of TLS 1.2, with an ECDSA key.
    #[serde(rename = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256")]
    EcdsaChacha20,
    /// Of TLS 1.2, with an RSA key.
    #[serde(rename = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")]
    RsaAes128,
    /// Of TLS 1.2, with an RSA key.
    #[serde(rename = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")]
    RsaAes256,
    /// Of TLS 1.2, with an RSA key.
    #[serde(rename = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256")]
    RsaChacha20,
}

impl CipherSuite {
    /// The version of TLS that it belongs to.
    pub fn version(self) -> TlsVersion {
        match self {
            Self::Aes128 | Self::Aes256 | Self::Chacha20 => TlsVersion::V1_3,
            _ => TlsVersion::V1_2,
        }
    }
}
