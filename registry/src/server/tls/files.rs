use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;
use super::certificate::Facts;

const CERTIFICATE: &str = "http.tls.certificate";
const KEY: &str = "http.tls.key";
pub(super) const AUTHORITIES: &str = "http.tls.clientcas";

/// What every user of the machine may read.
const OTHERS_READ: u32 = 0o004;

/// The files that TLS is served from.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) authorities: Vec<PathBuf>,
}

/// What was read from the files, each by itself in order.
#[derive(Debug)]
pub(super) struct Material {
    /// The server's certificate first; never empty.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// The file and the certificates in it.
    pub(super) authorities: Vec<(PathBuf, Vec<CertificateDer<'static>>)>,
}

/// What tells one state of a file from another, without reading it: device, inode, size, and the
/// times of its last changes. A link is followed, so that one which is set anew is a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<[u64; 7]>>);

impl Files {
    pub(super) fn named_by(tls: &berth_config::Tls) -> Option<Self> {
        let (certificate, key) = tls.pair()?;
        Some(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            authorities: tls.clientcas.clone(),
        })
    }

    pub(super) fn read(&self) -> Result<Material, TlsError> {
        let chain = certificates(CERTIFICATE, &self.certificate)?;
        let key = private_key(&self.key)?;
        let authorities = self.authorities.iter();
        let authorities = authorities
            .map(|path| Ok((path.clone(), certificates(AUTHORITIES, path)?)))
            .collect::<Result<_, TlsError>>()?;
        Ok(Material { chain, key, authorities })
    }

    pub(super) fn stamp(&self) -> Stamp {
        let paths = [&self.certificate, &self.key].into_iter().chain(&self.authorities);
        Stamp(paths.map(|path| fs::metadata(path).ok().map(|of| stamp(&of))).collect())
    }
}

impl Material {
    /// What the server's certificate says.
    pub(super) fn facts(&self, files: &Files) -> Result<Facts, TlsError> {
        let first = self.chain.first().map(|certificate| Facts::read(certificate));
        first
            .unwrap_or_else(|| Err("there is none".to_owned()))
            .map_err(|message| unusable(CERTIFICATE, &files.certificate, message))
    }
}

fn stamp(of: &fs::Metadata) -> [u64; 7] {
    let time = |part: i64| part.cast_unsigned();
    [
        of.dev(),
        of.ino(),
        of.size(),
        time(of.mtime()),
        time(of.mtime_nsec()),
        time(of.ctime()),
        time(of.ctime_nsec()),
    ]
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let (text, _) = read(key, path)?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    match found.map_err(|error| unusable(key, path, error.to_string()))? {
        none if none.is_empty() => {
            Err(TlsError::Absent { key, wanted: "certificate", path: path.to_owned() })
        }
        some => Ok(some),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let (text, of) = read(KEY, path)?;
    if of.permissions().mode() & OTHERS_READ != 0 {
        return Err(TlsError::OpenKey { path: path.to_owned() });
    }
    match PrivateKeyDer::from_pem_slice(&text) {
        _ if is_encrypted(&text) => Err(TlsError::EncryptedKey { path: path.to_owned() }),
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => {
            Err(TlsError::Absent { key: KEY, wanted: "private key", path: path.to_owned() })
        }
        Err(error) => Err(unusable(KEY, path, error.to_string())),
    }
}

/// By the two marks that there are: that of PKCS #8, and that of OpenSSL's own form.
fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

fn read(key: &'static str, path: &Path) -> Result<(Vec<u8>, fs::Metadata), TlsError> {
    let read = || -> io::Result<_> {
        let mut file = File::open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok((bytes, file.metadata()?))
    };
    read().map_err(|reason| TlsError::Unreadable { key, path: path.to_owned(), reason })
}

pub(super) fn unusable(key: &'static str, path: &Path, message: String) -> TlsError {
    TlsError::Unusable { key, path: path.to_owned(), message }
}
