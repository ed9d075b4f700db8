use std::path::PathBuf;
use std::time::Duration;

use berth_auth::token::{AlgorithmError, CertificateError, JwksError, SigningError, TokenError};
use berth_auth::{CredentialsError, HtpasswdError};
use berth_metadata::MetadataError;
use thiserror::Error;

/// Why it cannot be told who may use the registry.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AccessError {
    /// A file cannot be read or made.
    #[error("{key}: the file {path} cannot be {what}: {reason}")]
    File {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The password file has a line that cannot be used.
    #[error("auth.htpasswd.path: {path}: {reason}")]
    Htpasswd {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: HtpasswdError,
    },
    /// A file of certificates cannot be used.
    #[error("auth.token.rootcertbundle: {path}: {reason}")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: CertificateError,
    },
    /// A file of keys cannot be used.
    #[error("{key}: {path}: {reason}")]
    Keys {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: JwksError,
    },
    /// An algorithm is not known, or not safe.
    #[error("auth.token.signingalgorithms: {0}")]
    Algorithm(AlgorithmError),
    /// An entry for workloads cannot be used.
    #[error("auth.workloads: {0}")]
    Workloads(String),
    /// Nothing can be signed.
    #[error("no tokens can be issued: {0}")]
    Signing(SigningError),
    /// The system gives no thread.
    #[error("no thread can be had to compare passwords: {0}")]
    Threads(std::io::Error),
    /// The database does not answer.
    #[error("accounts and grants cannot be read: {0}")]
    Metadata(MetadataError),
}

// The messages hold what caused them, so none is a source that would be told once more.

impl From<AlgorithmError> for AccessError {
    fn from(error: AlgorithmError) -> Self {
        Self::Algorithm(error)
    }
}

impl From<SigningError> for AccessError {
    fn from(error: SigningError) -> Self {
        Self::Signing(error)
    }
}

impl From<MetadataError> for AccessError {
    fn from(error: MetadataError) -> Self {
        Self::Metadata(error)
    }
}

/// Why a request is not from who it says.
#[derive(Debug, Error)]
pub(crate) enum AuthenticationError {
    /// What it shows cannot be read.
    #[error(transparent)]
    Malformed(#[from] CredentialsError),
    /// Name, password or token are wrong. Which of them is not told.
    #[error("the name or the password is wrong")]
    Wrong,
    /// The token is worth nothing.
    #[error("the token is not good: {0}")]
    Token(#[from] TokenError),
    /// Too many wrong attempts came before.
    #[error("too many wrong passwords; try again in {} seconds", wait.as_secs().max(1))]
    TooMany {
        /// How long to wait.
        wait: Duration,
    },
    /// The database, or an issuer, does not answer.
    #[error("it cannot be told now who you are; try again later")]
    Unavailable {
        /// What happened, for the log alone.
        cause: String,
    },
}

impl From<MetadataError> for AuthenticationError {
    fn from(error: MetadataError) -> Self {
        Self::Unavailable { cause: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn what_caused_an_error_is_told_once() {
        let reason = || std::io::Error::other("the reason");
        let file = AccessError::File { key: "k", path: "f".into(), what: "read", reason: reason() };
        let threads = AccessError::Threads(reason());
        for error in [file, threads, SigningError::NoKey.into()] {
            assert!(error.source().is_none(), "{error} and its source");
        }
    }
}
