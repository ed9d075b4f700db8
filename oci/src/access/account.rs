use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The name of a user, an organisation, or a robot.
///
/// Users and organisations share one name space, as their names are the first component of the
/// repositories that are theirs: a component of a repository name, `acme`. A robot belongs to one of
/// them and is named after it: `acme+deploy`. At most [`AccountName::MAX_LEN`] characters; cheap to
/// clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName(Arc<str>);

impl AccountName {
    /// The longest name, in characters.
    pub const MAX_LEN: usize = 100;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The user or organisation that a robot belongs to; `None` for who is no robot.
    pub fn owner(&self) -> Option<AccountName> {
        self.0.split_once('+').map(|(owner, _)| Self(owner.into()))
    }

    /// Whether it is the name of a robot.
    pub fn is_robot(&self) -> bool {
        self.0.contains('+')
    }
}

impl FromStr for AccountName {
    type Err = AccountNameError;

    fn from_str(text: &str) -> Result<Self, AccountNameError> {
        if text.is_empty() {
            return Err(AccountNameError::Empty);
        }
        if text.len() > Self::MAX_LEN {
            return Err(AccountNameError::TooLong);
        }
        let (owner, robot) = match text.split_once('+') {
            Some((owner, robot)) => (owner, Some(robot)),
            None => (text, None),
        };
        match [Some(owner), robot].into_iter().flatten().all(crate::name::is_component) {
            true => Ok(Self(text.into())),
            false => Err(AccountNameError::Malformed),
        }
    }
}

/// The name of a team, `acme/developers`: its organisation, and its own name within it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TeamName {
    organisation: AccountName,
    text: Arc<str>,
}

impl TeamName {
    /// The organisation.
    pub fn organisation(&self) -> &AccountName {
        &self.organisation
    }

    /// Its own name, without the organisation's.
    pub fn name(&self) -> &str {
        &self.text[self.organisation.as_str().len() + 1..]
    }

    /// The whole name as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for TeamName {
    type Err = AccountNameError;

    fn from_str(text: &str) -> Result<Self, AccountNameError> {
        let (organisation, name) = text.split_once('/').ok_or(AccountNameError::NoTeam)?;
        let organisation: AccountName = organisation.parse()?;
        if organisation.is_robot() || name.parse::<AccountName>()?.is_robot() {
            return Err(AccountNameError::NoTeam);
        }
        Ok(Self { organisation, text: text.into() })
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(AccountName);
as_text!(TeamName);

/// Why a text names no account, or no team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AccountNameError {
    /// No character at all.
    #[error("the name is empty")]
    Empty,
    /// More than [`AccountName::MAX_LEN`] characters.
    #[error("the name is longer than 100 characters")]
    TooLong,
    /// Outside the grammar.
    #[error(
        "a name is made of a-z and 0-9, separated inside by '.', '_', '__' or '-'; a robot's is its owner's, '+' and its own"
    )]
    Malformed,
    /// Not the name of a team.
    #[error("a team is named ORGANISATION/TEAM, for example acme/developers")]
    NoTeam,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_as_the_first_component_of_its_repositories() {
        for name in ["alice", "acme", "a.b", "a__b", "a--b", "acme+deploy", "0"] {
            assert_eq!(name.parse::<AccountName>().unwrap().as_str(), name);
        }
        for name in ["", "Alice", "a/b", "+a", "a+", "a+b+c", "a b", "-a", "é", "a\n"] {
            assert!(name.parse::<AccountName>().is_err(), "{name}");
        }
        assert!("a".repeat(101).parse::<AccountName>().is_err());
    }

    #[test]
    fn a_robot_has_an_owner() {
        let robot: AccountName = "acme+deploy".parse().unwrap();
        assert_eq!(robot.owner().unwrap().as_str(), "acme");
        assert!("acme".parse::<AccountName>().unwrap().owner().is_none());
    }

    #[test]
    fn a_team_is_of_an_organisation() {
        let team: TeamName = "acme/developers".parse().unwrap();
        assert_eq!((team.organisation().as_str(), team.name()), ("acme", "developers"));
        for name in ["acme", "acme/", "/developers", "acme/a/b", "a+b/c", "a/b+c", "acme/Dev"] {
            assert!(name.parse::<TeamName>().is_err(), "{name}");
        }
    }
}
