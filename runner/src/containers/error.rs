//! What goes wrong with containers, in the words that users of docker know.

use std::io;

use crate::images::ImageError;
use crate::layers::LayerError;
use crate::network::NetworkError;
use crate::spec::SpecError;
use crate::volumes::VolumeError;

use super::id::ContainerId;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// Nothing has this name, this id or an id that begins so.
    #[error("No such container: {0}")]
    NotFound(String),
    /// More than one id begins so.
    #[error("multiple IDs found with provided prefix: {0}")]
    Ambiguous(String),
    /// The name is taken.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to \
         remove (or rename) that container to be able to reuse that name."
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        id: ContainerId,
    },
    /// It could not be the name of a container.
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    Name(String),
    /// What was asked for cannot be done with a container that is what this one is now.
    #[error("{0}")]
    Conflict(String),
    /// What was asked for means nothing, or is not there in this version.
    #[error("{0}")]
    Invalid(String),
    /// The program could not be started.
    #[error("{message}")]
    Start {
        /// What `run` and `start` exit with: 125, 126 or 127.
        code: u8,
        /// The runtime's words.
        message: String,
    },
    /// The system refused.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// Its answer.
        source: io::Error,
    },
    /// Something that is kept of a container cannot be read.
    #[error("{path}: {source}")]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A volume.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// A layer, or the root that is made of layers.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The configuration.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

impl ContainerError {
    /// What `run` exits with when this is why it did not.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Start { code, .. } => *code,
            _ => 125,
        }
    }
}

/// Says what was being done when the system refused.
pub(super) trait Doing<T> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, ContainerError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, ContainerError> {
        self.map_err(|error| ContainerError::System { doing: what().into(), source: error.into() })
    }
}
