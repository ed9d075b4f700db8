use berth_client::ClientError;
use berth_oci::Digest;
use thiserror::Error;

/// Why mirrors cannot be used as they are configured.
#[derive(Debug, Error)]
#[error("the mirror of {prefix}: {reason}")]
pub struct MirrorsError {
    /// The mirror.
    pub prefix: String,
    /// What is wrong.
    pub reason: String,
}

/// Why something could not be had from upstream.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// The upstreams were asked; this is what the last of them that said anything said.
    #[error(transparent)]
    Upstream(#[from] ClientError),
    /// The configuration wants nothing to be asked.
    #[error("it is not here, and the mirror of {prefix} is offline (`mirrors.offline`)")]
    Offline {
        /// The mirror.
        prefix: String,
    },
    /// It was not there a moment ago.
    #[error("the upstream of {prefix} did not have it a moment ago (`mirrors.negativettl`)")]
    KnownAbsent {
        /// The mirror.
        prefix: String,
    },
    /// So much was asked of the upstream already.
    #[error("the budget for {upstream} is used up for now (`mirrors.upstreams.budget`)")]
    OverBudget {
        /// The upstream.
        upstream: String,
    },
    /// The request has come from here, by way of other mirrors.
    #[error(
        "mirrors ask one another for it in a ring: look at their upstreams (`mirrors.upstreams`)"
    )]
    Loop,
    /// What came would be more than a quota allows.
    #[error("it is not fetched: {reason}")]
    OverQuota {
        /// Which, in words.
        reason: String,
    },
    /// Nobody is left who waits for it.
    #[error("all who wanted it have gone, and it is not fetched for nobody (`mirrors.finish`)")]
    Unwanted,
    /// What came is something else.
    #[error(transparent)]
    WrongDigest(#[from] Box<WrongDigest>),
    /// No upstream goes on with a blob that has begun.
    #[error("the fetch broke off: {reason}")]
    BrokenOff {
        /// What happened.
        reason: String,
    },
    /// What came cannot be kept.
    #[error("what the upstream gave cannot be kept: {reason}")]
    Unkept {
        /// Why.
        reason: String,
    },
}

/// An upstream gave other bytes than it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{upstream} gave content with the digest {actual} for {expected}; nothing of it was kept")]
pub struct WrongDigest {
    /// The upstream.
    pub upstream: String,
    /// What was asked for.
    pub expected: Digest,
    /// What came.
    pub actual: Digest,
}

impl MirrorError {
    /// Whether the upstreams say that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Upstream(ClientError::NotFound { .. }) | Self::KnownAbsent { .. })
    }

    /// Whether an upstream understood the question, or did not, but neither refused it nor failed: another way
    /// to ask may have another answer.
    pub fn is_answer(&self) -> bool {
        use ClientError::{Nonsense, NotFound};
        matches!(self, Self::Upstream(NotFound { .. } | Nonsense { .. }))
    }
}
