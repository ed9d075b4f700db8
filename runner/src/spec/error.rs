//! Why a container cannot be as it was asked to be.

use std::io;
use std::path::PathBuf;

/// In docker's words where docker has them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// An option has a value that means nothing, or two options exclude each other.
    #[error("{0}")]
    Invalid(String),
    /// Docker has it, this engine has not.
    #[error("{0}")]
    Unsupported(String),
    /// A file that an option names.
    #[error("{}: {}", path.display(), words(source))]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What the host would not tell.
    #[error("cannot {doing}: {}", words(source))]
    Host {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl SpecError {
    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid(what.into())
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }
}

/// As Go says it: in small letters and without a number.
pub(crate) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
