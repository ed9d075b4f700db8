use std::fmt;
use std::str::FromStr;

use berth_oci::{Digest, DigestError, NameError, Reference, RepositoryName, Tag, TagError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A repository, a tag or a manifest, as people name it: `REPOSITORY[:TAG|@DIGEST]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ContentName {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag or the manifest; `None` for the whole repository.
    pub reference: Option<Reference>,
}

/// Why a text names nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ContentNameError {
    /// The name of the repository is malformed.
    #[error(transparent)]
    Repository(#[from] NameError),
    /// The tag is malformed.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// The digest is malformed.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl FromStr for ContentName {
    type Err = ContentNameError;

    fn from_str(text: &str) -> Result<Self, ContentNameError> {
        if let Some((repository, digest)) = text.split_once('@') {
            let digest: Digest = digest.parse()?;
            let reference = Some(Reference::Digest(digest));
            return Ok(Self { repository: repository.parse()?, reference });
        }
        if let Some((repository, tag)) = text.split_once(':') {
            let tag: Tag = tag.parse()?;
            return Ok(Self {
                repository: repository.parse()?,
                reference: Some(Reference::Tag(tag)),
            });
        }
        Ok(Self { repository: text.parse()?, reference: None })
    }
}

impl TryFrom<String> for ContentName {
    type Error = ContentNameError;

    fn try_from(text: String) -> Result<Self, ContentNameError> {
        text.parse()
    }
}

impl From<ContentName> for String {
    fn from(name: ContentName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for ContentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reference {
            None => write!(f, "{}", self.repository),
            Some(Reference::Tag(tag)) => write!(f, "{}:{tag}", self.repository),
            Some(Reference::Digest(digest)) => write!(f, "{}@{digest}", self.repository),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for name in ["app".to_owned(), "team/app:v1".to_owned(), format!("team/app@{digest}")] {
            assert_eq!(name.parse::<ContentName>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for name in ["", "App", "app:", "app:a b", "app@", "app@sha256:12", ":v1", "a/:v1"] {
            assert!(name.parse::<ContentName>().is_err(), "{name}");
        }
    }
}
