use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Digest, DigestError};

/// A name that points to a manifest and can be moved: `latest`, `1.2.3`.
///
/// Follows the distribution specification's grammar `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
/// Cheap to clone. The order is that of the bytes, which is the order of listings.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The longest tag, in characters.
    pub const MAX_LEN: usize = 128;

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let is_first = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let is_later = |b: u8| is_first(b) || b == b'.' || b == b'-';
        let Some((&first, rest)) = text.as_bytes().split_first() else {
            return Err(TagError::Empty);
        };
        if text.len() > Self::MAX_LEN {
            return Err(TagError::TooLong);
        }
        if !is_first(first) || !rest.iter().all(|&b| is_later(b)) {
            return Err(TagError::Malformed);
        }
        Ok(Self(text.into()))
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Tag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TagError {
    /// No character at all.
    #[error("the tag is empty")]
    Empty,
    /// More than [`Tag::MAX_LEN`] characters.
    #[error("the tag is longer than 128 characters")]
    TooLong,
    /// Outside the grammar.
    #[error(
        "a tag is made of letters, digits, '_', '.' and '-', and begins with none of '.' and '-'"
    )]
    Malformed,
}

/// What a manifest is asked for by: a tag, or the digest of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// By tag.
    Tag(Tag),
    /// By digest.
    Digest(Digest),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// No tag holds a colon and every digest does, so the colon decides which error is told.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            Ok(Self::Digest(text.parse()?))
        } else {
            Ok(Self::Tag(text.parse()?))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Why a text is neither a tag nor a digest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReferenceError {
    /// It has no colon and is not a tag.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// It has a colon and is not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_colon_tells_a_digest_from_a_tag() {
        assert!(matches!("latest".parse(), Ok(Reference::Tag(_))));
        let digest = format!("sha256:{}", "a".repeat(64));
        assert!(matches!(digest.parse(), Ok(Reference::Digest(_))));
        assert!(matches!("sha256:zz".parse::<Reference>(), Err(ReferenceError::Digest(_))));
    }

    #[test]
    fn tags_outside_the_grammar_are_refused() {
        let long = "a".repeat(129);
        for (tag, error) in [
            ("", TagError::Empty),
            (long.as_str(), TagError::TooLong),
            (".hidden", TagError::Malformed),
            ("-v", TagError::Malformed),
            ("a/b", TagError::Malformed),
            ("a b", TagError::Malformed),
            ("a+b", TagError::Malformed),
            ("ü", TagError::Malformed),
        ] {
            assert_eq!(tag.parse::<Tag>(), Err(error), "{tag}");
        }
        for tag in ["_", "V1.2-rc_3", "0"] {
            assert_eq!(tag.parse::<Tag>().unwrap().as_str(), tag);
        }
    }
}
