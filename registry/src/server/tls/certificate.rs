use std::time::{Duration, SystemTime, UNIX_EPOCH};

use berth_oci::{Algorithm, Hasher};
use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};

/// Who is at the other end of a connection: what a client's certificate says, once it was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The alternative names of the subject, in their order.
    pub names: Vec<CertificateName>,
    /// The common name of the subject; older authorities give nothing else.
    pub common_name: Option<String>,
    /// The SHA-256 of the whole certificate, in hexadecimal.
    pub fingerprint: String,
    /// The end of its validity.
    pub not_after: SystemTime,
}

/// One alternative name of a certificate's subject. What kind of name it is matters: a mail
/// address is nothing that an authority has checked as a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateName {
    /// A host.
    Dns(String),
    /// A mail address.
    Email(String),
    /// A URI, a SPIFFE identity for one.
    Uri(String),
}

impl CertificateName {
    /// The name without its kind.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Dns(name) | Self::Email(name) | Self::Uri(name) => name,
        }
    }
}

impl ClientCertificate {
    pub(super) fn read(der: &CertificateDer<'_>) -> Result<Self, String> {
        let facts = Facts::read(der)?;
        Ok(Self {
            names: facts.names,
            common_name: facts.common_name,
            fingerprint: Hasher::digest(Algorithm::Sha256, der).hex(),
            not_after: facts.not_after,
        })
    }
}

/// What any certificate says of itself.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) names: Vec<CertificateName>,
    common_name: Option<String>,
    not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl Facts {
    pub(super) fn read(der: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| format!("no certificate: {error}"))?;
        let names = certificate.subject_alternative_name().map_err(|error| error.to_string())?;
        let names = names.into_iter().flat_map(|extension| &extension.value.general_names);
        let mut common_names = certificate.subject().iter_common_name();
        let common_name = common_names.next().and_then(|name| name.as_str().ok());
        let validity = certificate.validity();
        Ok(Self {
            names: names.filter_map(name).collect(),
            common_name: common_name.filter(|name| is_plain(name)).map(str::to_owned),
            not_before: time(validity.not_before),
            not_after: time(validity.not_after),
        })
    }

    /// Why it is not valid at a time.
    pub(super) fn fault_at(&self, now: SystemTime) -> Option<&'static str> {
        if now > self.not_after {
            return Some("has expired, and clients will refuse it: renew it");
        }
        (now < self.not_before).then_some(
            "is not valid yet, and clients will refuse it: compare this machine's clock with its beginning",
        )
    }
}

fn name(name: &GeneralName<'_>) -> Option<CertificateName> {
    let (kind, text): (fn(String) -> CertificateName, _) = match name {
        GeneralName::DNSName(text) => (CertificateName::Dns, text),
        GeneralName::RFC822Name(text) => (CertificateName::Email, text),
        GeneralName::URI(text) => (CertificateName::Uri, text),
        _ => return None,
    };
    is_plain(text).then(|| kind((*text).to_owned()))
}

/// A name that can be compared and logged: one with a line break or a null byte in it was made to
/// deceive.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

fn time(time: ASN1Time) -> SystemTime {
    let seconds = Duration::from_secs(time.timestamp().unsigned_abs());
    match time.timestamp() {
        0.. => UNIX_EPOCH + seconds,
        _ => UNIX_EPOCH - seconds,
    }
}
