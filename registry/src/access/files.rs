//! What the configuration names in files.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use berth_auth::token::{Algorithms, KeySet, TrustedServer};
use berth_auth::{Htpasswd, secret};
use berth_config::TokenServer;
use tracing::warn;

use super::AccessError;

const HTPASSWD: &str = "auth.htpasswd.path";

/// The user of a password file that is made.
const FIRST_USER: &str = "docker";

/// What tells that a small file is another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FileState(Option<(SystemTime, u64)>);

impl FileState {
    pub(super) fn of(path: &Path) -> Self {
        let metadata = std::fs::metadata(path).ok();
        Self(metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len()))))
    }
}

pub(super) fn read_htpasswd(path: &Path) -> Result<Htpasswd, AccessError> {
    let text = read(HTPASSWD, path)?;
    Htpasswd::parse(&text).map_err(|reason| AccessError::Htpasswd { path: path.to_owned(), reason })
}

/// Reads the password file. One that is not there is made, with one user.
pub(super) fn open_htpasswd(path: &Path) -> Result<Htpasswd, AccessError> {
    if !path.exists() {
        make_htpasswd(path)?;
    }
    read_htpasswd(path)
}

fn make_htpasswd(path: &Path) -> Result<(), AccessError> {
    let file_error =
        |reason| AccessError::File { key: HTPASSWD, path: path.to_owned(), what: "made", reason };
    let password =
        secret::draw("").map_err(|error| file_error(std::io::Error::other(error.to_string())))?;
    let text = Htpasswd::of_one(FIRST_USER, &password)
        .map_err(|reason| AccessError::Htpasswd { path: path.to_owned(), reason })?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(file_error)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(file_error)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(file_error)?;
    // The one time that a password is logged: nobody could know it otherwise.
    warn!(
        path = %path.display(), user = FIRST_USER, password = password.expose(),
        "the password file was not there and was made, with this user and password; change it soon"
    );
    Ok(())
}

pub(super) fn trusted_server(config: &TokenServer) -> Result<TrustedServer, AccessError> {
    let algorithms = match config.signingalgorithms.as_slice() {
        [] => Algorithms::all(),
        names => Algorithms::named(names)?,
    };
    let mut server = TrustedServer::new(config.issuer.clone(), config.service.clone(), algorithms);
    if let Some(path) = &config.rootcertbundle {
        let pem = read("auth.token.rootcertbundle", path)?;
        server = server
            .with_certificates(&pem)
            .map_err(|reason| AccessError::Certificates { path: path.clone(), reason })?;
    }
    if let Some(path) = &config.jwks {
        server = server.with_keys(read_keys("auth.token.jwks", path)?);
    }
    Ok(server)
}

pub(super) fn read_keys(key: &'static str, path: &Path) -> Result<KeySet, AccessError> {
    KeySet::parse(&read(key, path)?).map_err(|reason| AccessError::Keys {
        key,
        path: path.to_owned(),
        reason,
    })
}

pub(super) fn read(key: &'static str, path: &Path) -> Result<String, AccessError> {
    std::fs::read_to_string(path).map_err(|reason| AccessError::File {
        key,
        path: path.to_owned(),
        what: "read",
        reason,
    })
}
