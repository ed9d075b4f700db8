//! What goes wrong with images, by what a person can do about it. Docker's words, where it has some.

use std::fmt::Display;
use std::io;

use berth_client::{ClientError, OptionsError};
use berth_oci::Digest;

use crate::layers::LayerError;

/// Why something was not done with an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// No image has this name or id.
    #[error("No such image: {0}")]
    NotFound(String),
    /// What was written is no name of an image.
    #[error("invalid reference format{0}")]
    Reference(String),
    /// The registry has no such image.
    #[error("manifest for {name} not found: manifest unknown: {reason}")]
    NoManifest {
        /// The image.
        name: String,
        /// What the registry says.
        reason: String,
    },
    /// The registry does not show it to us.
    #[error(
        "{action} access denied for {name}, repository does not exist or may require \
         'berth login': {reason}"
    )]
    Denied {
        /// `pull` or `push`.
        action: &'static str,
        /// The repository.
        name: String,
        /// What the registry says.
        reason: String,
    },
    /// The registry has the image, but not for this machine.
    #[error("no matching manifest for {0} in the manifest list entries")]
    NoPlatform(String),
    /// There is one image only, and it is for another platform than was asked for.
    #[error(
        "image with reference {name} was found but its platform ({actual}) does not match the \
         specified platform ({wanted})"
    )]
    OtherPlatform {
        /// The image.
        name: String,
        /// What it is for.
        actual: String,
        /// What was asked for.
        wanted: String,
    },
    /// The text names no platform.
    #[error("{text:?} is an invalid OS/architecture: write for example linux/arm64/v8")]
    Platform {
        /// What was written.
        text: String,
    },
    /// It is something else than an image that can be run.
    #[error("{name} is no image of a container: {reason}")]
    NotAnImage {
        /// What it is.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What came is not what was asked for.
    #[error("{what} failed verification: expected {expected}, got {actual}")]
    Digest {
        /// What it is.
        what: String,
        /// What was asked for.
        expected: Box<Digest>,
        /// What came.
        actual: Box<Digest>,
    },
    /// It is larger, or there are more of it, than any honest image has.
    #[error("{what} is too large: {size}, and at most {most} are taken")]
    TooLarge {
        /// What it is.
        what: String,
        /// Its size.
        size: u64,
        /// The limit.
        most: u64,
    },
    /// An archive is not one that images are in.
    #[error("invalid archive: {0}")]
    Archive(String),
    /// Something still needs it.
    #[error("conflict: {0}")]
    Conflict(String),
    /// It can be done, but not in this way.
    #[error("{0}")]
    Refused(String),
    /// A file of ours, or one of settings, cannot be read.
    #[error("{path} cannot be used: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry does not give or take what it should.
    #[error(transparent)]
    Registry(#[from] ClientError),
    /// The registry cannot be spoken to as it is set up.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The layers cannot be kept.
    #[error(transparent)]
    Layer(Box<LayerError>),
    /// The system refused.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// Its answer.
        source: io::Error,
    },
}

impl From<LayerError> for ImageError {
    fn from(error: LayerError) -> Self {
        Self::Layer(Box::new(error))
    }
}

impl ImageError {
    pub(super) fn digest(what: impl Into<String>, expected: Digest, actual: Digest) -> Self {
        Self::Digest { what: what.into(), expected: Box::new(expected), actual: Box::new(actual) }
    }

    pub(super) fn reference(reason: &str) -> Self {
        Self::Reference(reason.to_owned())
    }

    pub(super) fn not_an_image(name: impl Display, reason: impl Display) -> Self {
        Self::NotAnImage { name: name.to_string(), reason: reason.to_string() }
    }

    pub(super) fn archive(reason: impl Into<String>) -> Self {
        Self::Archive(reason.into())
    }

    /// Whether what came is at fault, and not the way that it came nor the machine that it came to.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Digest { .. } => true,
            Self::Layer(error) => !matches!(**error, LayerError::System { .. }),
            _ => false,
        }
    }

    /// Whether it may go better the next time, so that what came already is worth keeping.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_outage(),
            _ => false,
        }
    }
}

/// Says what was being done when the system refused.
pub(super) trait Doing<T> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, ImageError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, ImageError> {
        self.map_err(|error| ImageError::System { doing: what().into(), source: error.into() })
    }
}
