//! What goes wrong with a layer, by what a person can do about it.

use std::io;

use berth_oci::Digest;

/// Why a layer was not taken in, or is not mounted.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// It was never pulled, or was removed.
    #[error("layer {0} is not here: pull the image again")]
    NotFound(Digest),
    /// Something has it mounted.
    #[error("layer {diff_id} is in use by {user}")]
    Busy {
        /// The layer.
        diff_id: Digest,
        /// The root that it is a part of.
        user: String,
    },
    /// It is not what the image's configuration says.
    #[error("the layer is {found} uncompressed, and the image's configuration says {expected}")]
    Digest {
        /// What the configuration says.
        expected: Box<Digest>,
        /// What it is.
        found: Box<Digest>,
    },
    /// It is no archive, or one that says something impossible.
    #[error("the layer's archive at byte {at}: {why}")]
    Archive {
        /// Where in the uncompressed archive.
        at: u64,
        /// What is wrong.
        why: String,
    },
    /// An entry of the archive means something that no layer may mean.
    #[error("the layer's entry {path:?}: {why}")]
    Entry {
        /// Its path, as it stands there.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// It asks for more than it may.
    #[error("the layer has more than {most} {what}")]
    Limit {
        /// The limit.
        most: u64,
        /// What is limited.
        what: &'static str,
    },
    /// The compressed form is damaged, or of a kind that is not known.
    #[error("the layer cannot be uncompressed: {0}")]
    Compression(io::Error),
    /// What it is read from broke off.
    #[error("the layer was not received: {0}")]
    Input(io::Error),
    /// The kernel refused.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// Its answer.
        source: io::Error,
    },
}

impl LayerError {
    pub(super) fn archive(at: u64, why: impl Into<String>) -> Self {
        Self::Archive { at, why: why.into() }
    }

    pub(super) fn entry(path: &[u8], why: impl Into<String>) -> Self {
        Self::Entry { path: String::from_utf8_lossy(path).into_owned(), why: why.into() }
    }

    pub(super) fn limit(what: &'static str, most: u64) -> Self {
        Self::Limit { most, what }
    }
}

/// A reader can fail for a reason of ours, which is inside of its error then.
impl From<io::Error> for LayerError {
    fn from(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Input)
    }
}

impl From<LayerError> for io::Error {
    fn from(error: LayerError) -> Self {
        Self::other(error)
    }
}

/// Says what was being done when the kernel refused.
pub(super) trait Doing<T> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, LayerError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, LayerError> {
        self.map_err(|error| LayerError::System { doing: what().into(), source: error.into() })
    }
}
