use std::fmt;

use berth_auth::password::PasswordError;
use berth_auth::secret::NoRandom;
use berth_metadata::MetadataError;
use berth_oci::access::AccountName;
use thiserror::Error;

use crate::access::AccessError;

/// Why something is not decided as asked.
#[derive(Debug, Error)]
pub(crate) enum AdministrationError {
    /// It is not there, or not for whoever asks.
    #[error("{0}")]
    NotFound(String),
    /// Whoever asks may not decide it.
    #[error("{0}")]
    Denied(String),
    /// Whoever asks may decide nothing.
    #[error(
        "these credentials decide nothing about accounts and grants: log in as a user, with the password or with an access token without a role and repositories of its own"
    )]
    NoAdministrator,
    /// The password is not taken.
    #[error(transparent)]
    Password(PasswordError),
    /// What is asked for cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The name is taken.
    #[error("{0} is there already")]
    Taken(String),
    /// Nobody would be left to decide.
    #[error(
        "{0} is the last administrator who can log in; make another one first (`berth user promote`)"
    )]
    LastAdministrator(AccountName),
    /// This berth has no accounts.
    #[error("this registry has no database of accounts")]
    NoAccounts,
    /// The database does not answer.
    #[error("accounts and grants cannot be read or changed now; try again later")]
    Unavailable {
        /// What happened, for the log alone.
        cause: String,
    },
}

impl AdministrationError {
    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self::Denied(message.into())
    }

    pub(super) fn no_account(name: &AccountName) -> Self {
        Self::not_found("account", name)
    }

    pub(super) fn not_found(kind: &str, name: impl fmt::Display) -> Self {
        Self::NotFound(format!("there is no {kind} {name}"))
    }
}

impl From<MetadataError> for AdministrationError {
    fn from(error: MetadataError) -> Self {
        Self::Unavailable { cause: error.to_string() }
    }
}

impl From<AccessError> for AdministrationError {
    fn from(error: AccessError) -> Self {
        Self::Unavailable { cause: error.to_string() }
    }
}

impl From<std::io::Error> for AdministrationError {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable { cause: error.to_string() }
    }
}

impl From<NoRandom> for AdministrationError {
    fn from(error: NoRandom) -> Self {
        Self::Unavailable { cause: error.to_string() }
    }
}
