//! TLS for the main listener. Every type of the TLS library stays in this module.
//!
//! What a handshake needs is one immutable [`ServerConfig`], made from files. A change of the
//! files makes another, which the next handshake takes; connections keep the one that they began
//! with. So nothing of a replacement reaches a request.

mod certificate;
mod files;
mod handshake;
mod policy;
#[cfg(test)]
mod tests;
mod watch;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use berth_config::Http;
use tokio_rustls::rustls::ServerConfig;

pub use certificate::{CertificateName, ClientCertificate};
pub(super) use handshake::{HandshakeError, Secured};
pub use watch::TlsWatch;

use certificate::Facts;
use files::{Files, Stamp};
use policy::Policy;

/// The certificate in service, and how to read it again.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    policy: Policy,
    current: ArcSwap<Service>,
}

/// What new connections are served with.
#[derive(Debug)]
struct Service {
    config: Arc<ServerConfig>,
    certificate: Facts,
    /// How the files were before they were read.
    stamp: Stamp,
}

impl Tls {
    /// Reads what the configuration names; `None` where plain HTTP is wanted.
    ///
    /// # Errors
    /// Says which file cannot be used and what to do.
    pub fn load(http: &Http) -> Result<Option<Self>, TlsError> {
        let Some(files) = Files::named_by(&http.tls) else { return Ok(None) };
        let policy = Policy::new(http);
        let current = ArcSwap::from_pointee(serve_with(&files, &policy)?);
        Ok(Some(Self { files, policy, current }))
    }

    /// Lines for the operator: that the certificate is not valid at present.
    pub fn notices(&self) -> Vec<String> {
        let fault = self.current.load().certificate.fault_at(SystemTime::now());
        let path = self.files.certificate.display();
        fault.map(|fault| format!("`http.tls.certificate`: {path} {fault}")).into_iter().collect()
    }

    /// What the certificate is for, in one line.
    fn names(&self) -> String {
        let service = self.current.load();
        let names = service.certificate.names.iter().map(CertificateName::as_str);
        names.collect::<Vec<_>>().join(", ")
    }

    /// Reads the files again. What cannot be used leaves what is in service as it is.
    fn replace(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(serve_with(&self.files, &self.policy)?));
        Ok(())
    }
}

fn serve_with(files: &Files, policy: &Policy) -> Result<Service, TlsError> {
    // First, so that a change during the reading is found by the next look.
    let stamp = files.stamp();
    let material = files.read()?;
    let certificate = material.facts(files)?;
    Ok(Service { config: policy.server_config(material, files)?, certificate, stamp })
}

/// Why TLS cannot be served as it is configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("`{key}`: cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// The key is open to everybody.
    #[error("`http.tls.key`: every user of this machine can read {0}: chmod 600 {0}", path.display())]
    OpenKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is encrypted.
    #[error(
        "`http.tls.key`: the key in {0} is encrypted, and nobody is there to enter its passphrase: write it without one, openssl pkey -in {0} -out FILE, and chmod 600 FILE", path.display()
    )]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// A file does not hold what is looked for.
    #[error("`{key}`: there is no {wanted} in PEM in {}", path.display())]
    Absent {
        /// The key that names it.
        key: &'static str,
        /// What is looked for.
        wanted: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A file is damaged.
    #[error("`{key}`: {} cannot be used: {message}", path.display())]
    Unusable {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Certificate and key are not a pair.
    #[error(
        "`http.tls.key`: the key in {} does not belong to the certificate in {}: name the two that were made together",
        key.display(), certificate.display()
    )]
    NoPair {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificate.
        certificate: PathBuf,
    },
    /// What is left.
    #[error("`http.tls`: {0}")]
    Settings(String),
}
