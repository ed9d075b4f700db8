use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

/// The identifier of an upload session, unguessable, in the form of a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(Uuid);

impl UploadId {
    /// A new random identifier.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The sixteen bytes that databases store.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Takes up stored bytes; `None` when they are not sixteen.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }
}

impl FromStr for UploadId {
    type Err = UploadIdError;

    fn from_str(text: &str) -> Result<Self, UploadIdError> {
        // Only the hyphenated form: one session has one URL.
        if text.len() != 36 {
            return Err(UploadIdError);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| UploadIdError)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The text is not the identifier of an upload session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an upload session is named by a UUID; use the Location that the registry answered")]
pub struct UploadIdError;
