use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The name of a repository: path components joined by slashes, `library/ubuntu`.
///
/// Follows the distribution specification's grammar
/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`, and at most
/// [`RepositoryName::MAX_LEN`] characters, the limit that clients share. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// The longest name, in characters.
    pub const MAX_LEN: usize = 255;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > Self::MAX_LEN {
            return Err(NameError::TooLong);
        }
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(NameError::UpperCase);
        }
        if !text.split('/').all(is_component) {
            return Err(NameError::Malformed);
        }
        Ok(Self(text.into()))
    }
}

/// Whether `text` is runs of `a-z0-9` joined by `.`, `_`, `__` or any number of `-`.
pub(crate) fn is_component(text: &str) -> bool {
    let is_alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut rest = text.as_bytes();
    loop {
        let run = rest.iter().take_while(|&&b| is_alphanumeric(b)).count();
        if run == 0 {
            return false;
        }
        rest = &rest[run..];
        if rest.is_empty() {
            return true;
        }
        let separator = rest.iter().take_while(|&&b| !is_alphanumeric(b)).count();
        let allowed = match &rest[..separator] {
            b"." | b"_" | b"__" => true,
            dashes => dashes.iter().all(|&b| b == b'-'),
        };
        if !allowed {
            return false;
        }
        rest = &rest[separator..];
    }
}

impl AsRef<str> for RepositoryName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Lets maps keyed by a name be asked with a `&str`; hashing and order are those of the text.
impl std::borrow::Borrow<str> for RepositoryName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RepositoryName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RepositoryName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a repository name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// No character at all.
    #[error("the repository name is empty")]
    Empty,
    /// More than [`RepositoryName::MAX_LEN`] characters.
    #[error("the repository name is longer than 255 characters")]
    TooLong,
    /// An upper-case letter.
    #[error("repository names are lower case")]
    UpperCase,
    /// Outside the grammar.
    #[error(
        "a repository name is made of components of a-z and 0-9, separated inside by '.', '_', '__' or '-' and joined by '/'"
    )]
    Malformed,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_the_grammar_are_accepted() {
        for name in [
            "a",
            "0",
            "library/ubuntu",
            "a/b/c/d",
            "a.b_c__d-e---f",
            "blobs/uploads",
            "tags/list",
            "manifests",
            "v2/v2",
            "0/1/2",
        ] {
            assert_eq!(name.parse::<RepositoryName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_outside_the_grammar_are_refused() {
        let long = "a".repeat(256);
        for (name, error) in [
            ("", NameError::Empty),
            (long.as_str(), NameError::TooLong),
            ("Ubuntu", NameError::UpperCase),
            ("../etc", NameError::Malformed),
            ("a/../b", NameError::Malformed),
            ("a//b", NameError::Malformed),
            ("/a", NameError::Malformed),
            ("a/", NameError::Malformed),
            ("a..b", NameError::Malformed),
            ("a___b", NameError::Malformed),
            ("a._b", NameError::Malformed),
            ("-a", NameError::Malformed),
            ("a-", NameError::Malformed),
            ("a b", NameError::Malformed),
            ("%2e%2e", NameError::Malformed),
            ("é", NameError::Malformed),
            ("a\0", NameError::Malformed),
        ] {
            assert_eq!(name.parse::<RepositoryName>(), Err(error), "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_name_of_the_grammar_parses(
            name in "[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,8}){0,3}(/[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,8}){0,3}){0,3}"
        ) {
            prop_assert!(name.parse::<RepositoryName>().is_ok());
        }

        #[test]
        fn a_parsed_name_never_leaves_its_folder(name in ".{0,40}") {
            if let Ok(name) = name.parse::<RepositoryName>() {
                prop_assert!(name.as_str().split('/').all(|c| !c.is_empty() && c != "." && c != ".."));
            }
        }
    }
}
