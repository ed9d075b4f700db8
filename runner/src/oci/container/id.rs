//! Names of containers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::super::Error;

/// A name that is the name of a folder and of a cgroup, too.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::oci) struct ContainerId(String);

impl ContainerId {
    pub(in crate::oci) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContainerId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+_-.".contains(&byte);
        let is_name = !matches!(text, "" | "." | "..") && text.len() <= 1024;
        if is_name && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::Id(text.to_owned()))
        }
    }
}

impl TryFrom<String> for ContainerId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> Self {
        id.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_be_a_path() {
        for text in ["", ".", "..", "a/b", "/a", "a b", "a\0", "ä", &"a".repeat(1025)] {
            assert!(text.parse::<ContainerId>().is_err(), "{text:?}");
        }
        for text in ["a", "a.b", "..a", "A-1_2+3", &"a".repeat(1024)] {
            assert_eq!(text.parse::<ContainerId>().unwrap().as_str(), text);
        }
    }
}
