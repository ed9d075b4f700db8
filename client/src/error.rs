use std::time::Duration;

use thiserror::Error;

/// Why a registry did not give what it was asked for.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// It has no such thing, or does not show it.
    #[error("the registry {registry} has no {what}")]
    NotFound {
        /// The registry.
        registry: String,
        /// What was asked for.
        what: String,
    },
    /// It wants other credentials, or any.
    #[error("the registry {registry} does not accept the credentials that it was shown: {reason}")]
    Unauthorized {
        /// The registry.
        registry: String,
        /// What it said.
        reason: String,
    },
    /// The credentials are not for that.
    #[error("the registry {registry} does not allow that: {reason}")]
    Denied {
        /// The registry.
        registry: String,
        /// What it said.
        reason: String,
    },
    /// It was asked too often.
    #[error("the registry {registry} allows no more requests for now (429)")]
    TooManyRequests {
        /// The registry.
        registry: String,
        /// When to ask again, if it said so.
        retry_after: Option<Duration>,
    },
    /// It cannot be reached, does not answer in time, or says that it cannot serve now.
    #[error("the registry {registry} cannot be reached: {reason}")]
    Unavailable {
        /// The registry.
        registry: String,
        /// What happened.
        reason: String,
    },
    /// Its challenge names a token service that is not its own.
    #[error(
        "the registry {registry} asks for a token of {realm}, which is not known to belong to it, so nothing was sent there; if it does, name it in `realms`"
    )]
    UntrustedRealm {
        /// The registry.
        registry: String,
        /// The token service.
        realm: String,
    },
    /// It sends us where a registry has no business to.
    #[error("the registry {registry} leads to {target}, which is not followed: {reason}")]
    UntrustedRedirect {
        /// The registry.
        registry: String,
        /// Where to. Without what may be secret in it.
        target: String,
        /// Why not.
        reason: &'static str,
    },
    /// What it answered makes no sense.
    #[error("the registry {registry} answered what no registry answers: {reason}")]
    Nonsense {
        /// The registry.
        registry: String,
        /// What it was.
        reason: String,
    },
}

impl ClientError {
    /// Whether it says nothing of what was asked for: another registry may have it, and what is known
    /// from before still holds.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::Denied { .. } | Self::Unauthorized { .. } => false,
            Self::TooManyRequests { .. }
            | Self::Unavailable { .. }
            | Self::UntrustedRealm { .. }
            | Self::UntrustedRedirect { .. }
            | Self::Nonsense { .. } => true,
        }
    }
}
