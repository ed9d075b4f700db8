use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder};
use thiserror::Error;

use crate::network::PublicOnly;
use crate::{Credentials, RegistryUrl};

/// How a registry is spoken to.
#[derive(Debug)]
pub struct ClientOptions {
    /// What is shown to it.
    pub credentials: Credentials,
    /// Authorities that its certificate may come from, in PEM; those of the system where there are none.
    pub authorities: Option<Vec<u8>>,
    /// The certificate that we show.
    pub identity: Option<Identity>,
    /// Token services beside its own that may have the credentials, as `host` or `host:port`.
    pub realms: Vec<String>,
    /// Whether credentials may be sent to another machine in plain text.
    pub plain_credentials: bool,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the registry may take to begin its answer.
    pub answer_timeout: Duration,
    /// How long nothing may come in the middle of an answer.
    pub stall_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            credentials: Credentials::Anonymous,
            authorities: None,
            identity: None,
            realms: Vec::new(),
            plain_credentials: false,
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
        }
    }
}

/// A client certificate and its key, both in PEM, in one text. It is not shown.
#[derive(Clone)]
pub struct Identity(pub Vec<u8>);

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

/// Why options cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// Somebody on the way would read the password.
    #[error(
        "the credentials for {registry} would be sent in plain text over the network: use https"
    )]
    PlainCredentials {
        /// The registry.
        registry: String,
    },
    /// The authorities or the certificate cannot be used, or the system has no authorities.
    #[error("no connection to {registry} can be made: {reason}")]
    Tls {
        /// The registry.
        registry: String,
        /// What is wrong.
        reason: String,
    },
}

impl ClientOptions {
    /// The way to the registry itself. One that speaks no TLS needs no authorities, which take long to
    /// read where they are the system's; nobody is trusted on that way.
    pub(crate) fn own(&self, url: &RegistryUrl) -> Result<Client, OptionsError> {
        let in_plain_text = !url.is_encrypted() && !url.is_loopback() && !self.plain_credentials;
        if self.credentials.are_there() && in_plain_text {
            return Err(OptionsError::PlainCredentials { registry: url.authority() });
        }
        match url.is_encrypted() {
            true => self.encrypted(url),
            false => built(url, self.builder().tls_certs_only([])),
        }
    }

    /// The way to what belongs to the registry, by TLS.
    pub(crate) fn encrypted(&self, url: &RegistryUrl) -> Result<Client, OptionsError> {
        let tls = |error| unusable(url, error);
        let mut own = self.builder();
        if let Some(pem) = &self.authorities {
            own = own.tls_certs_only(Certificate::from_pem_bundle(pem).map_err(tls)?);
        }
        if let Some(Identity(pem)) = &self.identity {
            own = own.identity(reqwest::Identity::from_pem(pem).map_err(tls)?);
        }
        built(url, own)
    }

    /// The way to where a registry on the Internet sends us.
    pub(crate) fn elsewhere(&self, url: &RegistryUrl) -> Result<Client, OptionsError> {
        built(url, self.builder().dns_resolver(PublicOnly))
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder()
            .redirect(Policy::none())
            .connect_timeout(self.connect_timeout)
            .user_agent(concat!("berth/", env!("CARGO_PKG_VERSION")))
    }
}

fn built(url: &RegistryUrl, builder: ClientBuilder) -> Result<Client, OptionsError> {
    builder.build().map_err(|error| unusable(url, error))
}

fn unusable(url: &RegistryUrl, error: reqwest::Error) -> OptionsError {
    OptionsError::Tls { registry: url.authority(), reason: in_words(&error) }
}

/// An error with all that led to it.
pub(crate) fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
