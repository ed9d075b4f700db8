use std::sync::Arc;

use berth_config::{CipherSuite, ClientAuth, Http, TlsVersion};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    CipherSuite as SuiteName, Error, RootCertStore, ServerConfig, SupportedCipherSuite,
    SupportedProtocolVersion,
};

use super::TlsError;
use super::files::{AUTHORITIES, Files, Material, unusable};

pub(super) const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// What is offered to clients and asked of them, whatever the certificate.
#[derive(Debug)]
pub(super) struct Policy {
    minimum: TlsVersion,
    suites: Vec<CipherSuite>,
    client_auth: Option<ClientAuth>,
    http2: bool,
}

impl Policy {
    pub(super) fn new(http: &Http) -> Self {
        Self {
            minimum: http.tls.minimumtls,
            suites: http.tls.ciphersuites.clone(),
            client_auth: http.tls.client_auth(),
            http2: !http.http2.disabled,
        }
    }

    pub(super) fn server_config(
        &self,
        material: Material,
        files: &Files,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let settings = |error: Error| TlsError::Settings(error.to_string());
        let provider = Arc::new(self.provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.versions(&provider))
            .map_err(settings)?;
        let builder = match self.client_auth {
            None => builder.with_no_client_auth(),
            Some(auth) => {
                let verifier = verifier(auth, &material, provider)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(material.chain, material.key)
            .map_err(|error| pair_error(error, files))?;
        config.alpn_protocols = match self.http2 {
            true => vec![H2.to_vec(), HTTP_1_1.to_vec()],
            false => vec![HTTP_1_1.to_vec()],
        };
        self.resumption(&mut config)?;
        Ok(Arc::new(config))
    }

    /// A session is taken up again from a ticket that its client keeps, so that this costs no
    /// memory here. Where clients show certificates each connection begins anew: a resumed one
    /// would go by a certificate that has expired, or whose authority is not trusted any more.
    fn resumption(&self, config: &mut ServerConfig) -> Result<(), TlsError> {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if self.client_auth.is_some() {
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = aws_lc_rs::Ticketer::new()
                .map_err(|error| TlsError::Settings(error.to_string()))?;
        }
        Ok(())
    }

    fn provider(&self) -> CryptoProvider {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.retain(|suite| self.offers(suite));
        provider
    }

    /// The versions from the minimum on for which there is a suite.
    fn versions(&self, provider: &CryptoProvider) -> Vec<&'static SupportedProtocolVersion> {
        let mut versions = vec![&TLS13];
        if self.minimum == TlsVersion::V1_2 {
            versions.push(&TLS12);
        }
        let suites = &provider.cipher_suites;
        versions.retain(|version| suites.iter().any(|suite| suite.version() == *version));
        versions
    }

    fn offers(&self, suite: &SupportedCipherSuite) -> bool {
        let is_of_1_3 = |chosen: &CipherSuite| chosen.version() == TlsVersion::V1_3;
        // As in `registry:2`, a choice among the suites of TLS 1.2 says nothing of TLS 1.3.
        let says_nothing = match suite.tls13() {
            Some(_) => !self.suites.iter().any(is_of_1_3),
            None => self.suites.is_empty(),
        };
        says_nothing || self.suites.iter().any(|chosen| name(*chosen) == suite.suite())
    }
}

fn verifier(
    auth: ClientAuth,
    material: &Material,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for (path, certificates) in &material.authorities {
        for certificate in certificates {
            roots
                .add(certificate.clone())
                .map_err(|error| unusable(AUTHORITIES, path, error.to_string()))?;
        }
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match auth {
        ClientAuth::IfGiven => builder.allow_unauthenticated(),
        ClientAuth::Required => builder,
    };
    builder.build().map_err(|error| TlsError::Settings(error.to_string()))
}

fn pair_error(error: Error, files: &Files) -> TlsError {
    match error {
        Error::InconsistentKeys(_) => {
            TlsError::NoPair { key: files.key.clone(), certificate: files.certificate.clone() }
        }
        Error::InvalidCertificate(error) => {
            unusable("http.tls.certificate", &files.certificate, error.to_string())
        }
        error => unusable("http.tls.key", &files.key, error.to_string()),
    }
}

fn name(suite: CipherSuite) -> SuiteName {
    match suite {
        CipherSuite::Aes128 => SuiteName::TLS13_AES_128_GCM_SHA256,
        CipherSuite::Aes256 => SuiteName::TLS13_AES_256_GCM_SHA384,
        CipherSuite::Chacha20 => SuiteName::TLS13_CHACHA20_POLY1305_SHA256,
        CipherSuite::EcdsaAes128 => SuiteName::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::EcdsaAes256 => SuiteName::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdsaChacha20 => SuiteName::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuite::RsaAes128 => SuiteName::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::RsaAes256 => SuiteName::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::RsaChacha20 => SuiteName::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}
