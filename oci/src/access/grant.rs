use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{PatternError, RepositoryPattern, Role, Subject, SubjectError};

/// Whether a grant gives or takes. What one takes no other gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It gives what the role allows.
    #[default]
    Allow,
    /// It takes what the role allows.
    Deny,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

/// Who may, or may not, do what with which repositories.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Whether it gives or takes.
    pub effect: Effect,
    /// To or from whom.
    pub subject: Subject,
    /// What.
    pub role: Role,
    /// Of which repositories.
    pub repositories: RepositoryPattern,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { effect, subject, role, repositories } = self;
        write!(f, "{effect} {subject} {role} {repositories}")
    }
}

impl FromStr for Grant {
    type Err = GrantError;

    /// Reads `allow user:alice writer acme/**`, as it is shown. Without the first word it allows.
    fn from_str(text: &str) -> Result<Self, GrantError> {
        let words: Vec<_> = text.split_ascii_whitespace().collect();
        let (effect, words) = match words.as_slice() {
            ["allow", rest @ ..] => (Effect::Allow, rest),
            ["deny", rest @ ..] => (Effect::Deny, rest),
            rest => (Effect::Allow, rest),
        };
        let [subject, role, repositories] = words else { return Err(GrantError::Malformed) };
        Ok(Self {
            effect,
            subject: subject.parse()?,
            role: role.parse().map_err(GrantError::Role)?,
            repositories: repositories.parse()?,
        })
    }
}

/// Why a text is no grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GrantError {
    /// Not three or four words.
    #[error(
        "a grant reads `allow SUBJECT ROLE REPOSITORIES`, for example `allow team:acme/developers writer acme/**`"
    )]
    Malformed,
    /// The subject is none.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// The role is none.
    #[error("{0}")]
    Role(&'static str),
    /// The pattern is none.
    #[error(transparent)]
    Repositories(#[from] PatternError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_written_as_it_is_read() {
        for text in ["allow anyone reader library/**", "deny user:alice writer acme/app"] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
        let short: Grant = "team:acme/dev admin acme/*".parse().unwrap();
        assert_eq!(short.to_string(), "allow team:acme/dev admin acme/*");
        for text in
            ["", "allow", "anyone reader", "anyone writes **", "all reader **", "anyone reader A"]
        {
            assert!(text.parse::<Grant>().is_err(), "{text}");
        }
    }
}
