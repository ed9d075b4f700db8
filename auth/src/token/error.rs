use jsonwebtoken::errors::{Error, ErrorKind};
use thiserror::Error as ThisError;

/// Why a token is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
pub enum TokenError {
    /// It is no token at all.
    #[error("it is no signed token")]
    Malformed,
    /// It is signed by an algorithm that is not taken.
    #[error("it is signed in a way that is not taken here")]
    Algorithm,
    /// It is signed by a key that nobody here trusts.
    #[error("it is signed by a key that is not trusted here")]
    UnknownKey,
    /// It has been changed, or was signed by another key than it says.
    #[error("its signature is wrong")]
    Signature,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    NotYetValid,
    /// It comes from somebody else.
    #[error("it is of another issuer")]
    Issuer,
    /// It is for another service.
    #[error("it is for another service")]
    Audience,
    /// Something that it must say is missing, or of another form.
    #[error("it lacks a claim, or one has another form")]
    Claims,
    /// It was taken back.
    #[error("it was revoked")]
    Revoked,
}

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::ImmatureSignature => Self::NotYetValid,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::InvalidAlgorithm
            | ErrorKind::UnsupportedAlgorithm
            | ErrorKind::InvalidAlgorithmName => Self::Algorithm,
            ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => Self::Claims,
            _ => Self::Malformed,
        }
    }
}
