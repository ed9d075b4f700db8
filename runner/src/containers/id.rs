//! Ids of containers.

use std::fmt;
use std::str::FromStr;

use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

use super::error::{ContainerError, Doing as _};

/// Bytes of an id; it is written in twice as many digits.
const BYTES: usize = 32;
/// Digits that are shown of it.
const SHORT: usize = 12;

/// What a container is called for ever: 64 hexadecimal digits.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

impl ContainerId {
    /// One that nobody has.
    ///
    /// # Errors
    ///
    /// When the kernel has no random numbers.
    pub(super) fn random() -> Result<Self, ContainerError> {
        let mut bytes = [0; BYTES];
        getrandom(&mut bytes, GetRandomFlags::empty()).doing(|| "ask for random numbers")?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// All of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, which tables show.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..SHORT]
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for ContainerId {
    type Err = ContainerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 2 * BYTES && is_prefix(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ContainerError::NotFound(text.to_owned()))
        }
    }
}

impl TryFrom<String> for ContainerId {
    type Error = ContainerError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> Self {
        id.0
    }
}

/// Whether an id could begin so.
pub(super) fn is_prefix(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_64_digits_and_nothing_else() {
        let id = ContainerId::random().unwrap();
        assert_eq!(id.as_str().parse::<ContainerId>().unwrap(), id);
        assert_ne!(ContainerId::random().unwrap(), id);
        assert_eq!(id.short(), &id.as_str()[..12]);
        for text in ["", "abc", &id.as_str()[1..], &id.as_str().to_uppercase(), "../../../etc"] {
            assert!(text.parse::<ContainerId>().is_err(), "{text}");
        }
    }
}
