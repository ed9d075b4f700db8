//! A certificate authority of the tests' own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType,
    date_time_ymd,
};

/// An authority that certifies whatever a test wants.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, both in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// The files of a certificate and its key.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate's.
    pub certificate: PathBuf,
    /// The key's, which nobody else may read.
    pub key: PathBuf,
}

/// Whom a client trusts, and what it shows of itself.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The certificate of an authority, in PEM.
    pub authority: String,
    /// The client's own certificate.
    pub identity: Option<Issued>,
}

impl Authority {
    /// An authority of that name.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// Trust in it.
    #[must_use]
    pub fn trust(&self) -> Trust {
        Trust { authority: self.certificate(), identity: None }
    }

    /// A certificate for a server on this machine.
    pub fn server(&self) -> Result<Issued> {
        self.issue(server()?)
    }

    /// A certificate for a server at an address, or of a name.
    pub fn server_at(&self, host: &str) -> Result<Issued> {
        self.issue(CertificateParams::new([host.to_owned()])?)
    }

    /// One that has expired long ago.
    pub fn expired_server(&self) -> Result<Issued> {
        self.issue(expired(server()?))
    }

    /// A certificate for a client.
    pub fn client(&self, name: &str) -> Result<Issued> {
        self.issue(client(name)?)
    }

    /// One that has expired long ago.
    pub fn expired_client(&self, name: &str) -> Result<Issued> {
        self.issue(expired(client(name)?))
    }

    fn issue(&self, params: CertificateParams) -> Result<Issued> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn server() -> Result<CertificateParams> {
    Ok(CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?)
}

fn client(name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names.push(SanType::Rfc822Name(format!("{name}@example.org").try_into()?));
    Ok(params)
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    params
}

impl Issued {
    /// Writes both into a folder, under names made from `name`, in place of what is there.
    pub fn write(&self, folder: &Path, name: &str) -> Result<Pair> {
        let pair = Pair {
            certificate: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
        };
        fs::write(&pair.certificate, &self.certificate)?;
        fs::write(&pair.key, &self.key)?;
        fs::set_permissions(&pair.key, Permissions::from_mode(0o600))?;
        Ok(pair)
    }
}
