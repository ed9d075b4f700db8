//! What can go wrong with volumes.

use std::io;

use crate::spec::{SpecError, words};

/// In docker's words where docker has them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeError {
    /// There is none by this name.
    #[error("get {0}: no such volume")]
    NotFound(String),
    /// A container has it.
    #[error("remove {name}: volume is in use - [{}]", containers.join(", "))]
    InUse {
        /// Which.
        name: String,
        /// The ids of those containers.
        containers: Vec<String>,
    },
    /// A name or an option that means nothing.
    #[error("{0}")]
    Invalid(String),
    /// What was asked for in a mount.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Who uses a volume could not be found out.
    #[error("cannot find out who uses the volume {name}")]
    Users {
        /// Which.
        name: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The host would not do something.
    #[error("cannot {doing}: {}", words(source))]
    System {
        /// What.
        doing: String,
        /// Why not.
        source: io::Error,
    },
}

/// Says what was being done when something went wrong.
pub(super) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, VolumeError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, VolumeError> {
        self.map_err(|source| VolumeError::System { doing: what(), source: source.into() })
    }
}
