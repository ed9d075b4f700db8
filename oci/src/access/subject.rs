use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{AccountName, AccountNameError, TeamName};

/// Whom a grant is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Everybody, those included who do not say who they are: what is granted to them is public.
    Anyone,
    /// Everybody who has said who they are.
    Authenticated,
    /// A user or a robot.
    Account(AccountName),
    /// The members of an organisation.
    Organisation(AccountName),
    /// The members of a team.
    Team(TeamName),
    /// Workloads (a job of a CI system, a pod) whose claims fulfil a rule of the configuration, by
    /// the name of the rule.
    Workload(AccountName),
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        match text {
            "anyone" => return Ok(Self::Anyone),
            "authenticated" => return Ok(Self::Authenticated),
            _ => {}
        }
        let (kind, name) = text.split_once(':').ok_or(SubjectError::Malformed)?;
        match kind {
            "user" | "robot" => {
                let account: AccountName = name.parse()?;
                match account.is_robot() == (kind == "robot") {
                    true => Ok(Self::Account(account)),
                    false => Err(SubjectError::Malformed),
                }
            }
            "organisation" => Ok(Self::Organisation(name.parse()?)),
            "team" => Ok(Self::Team(name.parse()?)),
            "workload" => Ok(Self::Workload(name.parse()?)),
            _ => Err(SubjectError::Malformed),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Authenticated => f.write_str("authenticated"),
            Self::Account(name) if name.is_robot() => write!(f, "robot:{name}"),
            Self::Account(name) => write!(f, "user:{name}"),
            Self::Organisation(name) => write!(f, "organisation:{name}"),
            Self::Team(name) => write!(f, "team:{name}"),
            Self::Workload(name) => write!(f, "workload:{name}"),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SubjectError {
    /// None of the kinds.
    #[error(
        "write anyone, authenticated, user:NAME, robot:OWNER+NAME, organisation:NAME, team:ORGANISATION/NAME or workload:RULE"
    )]
    Malformed,
    /// A malformed name.
    #[error(transparent)]
    Name(#[from] AccountNameError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_written_as_it_is_read() {
        for text in [
            "anyone",
            "authenticated",
            "user:alice",
            "robot:acme+deploy",
            "organisation:acme",
            "team:acme/developers",
            "workload:github",
        ] {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
        }
        for text in ["", "alice", "user:", "user:a+b", "robot:a", "group:a", "team:a", "user:A"] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }
}
