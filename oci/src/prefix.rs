use std::fmt;
use std::str::FromStr;

use crate::{NameError, RepositoryName};

/// A part of the repositories: the one of a name and all below it, or all there are.
///
/// `team` covers `team` and `team/app`, not `teams`. As text all repositories are `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RepositoryPrefix(Option<RepositoryName>);

impl RepositoryPrefix {
    /// Whether the repository is a part of it.
    pub fn covers(&self, repository: &RepositoryName) -> bool {
        let Some(prefix) = &self.0 else { return true };
        let rest = repository.as_str().strip_prefix(prefix.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What names of its repositories begin with; nothing for all.
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", RepositoryName::as_str)
    }
}

impl FromStr for RepositoryPrefix {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "*" => Ok(Self(None)),
            name => name.parse().map(|name| Self(Some(name))),
        }
    }
}

impl fmt::Display for RepositoryPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref().map_or("*", RepositoryName::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_covers_its_name_and_what_lies_below() {
        let covers = |prefix: &str, name: &str| {
            prefix.parse::<RepositoryPrefix>().unwrap().covers(&name.parse().unwrap())
        };
        assert!(covers("team", "team") && covers("team", "team/app") && covers("*", "any"));
        assert!(!covers("team", "teams") && !covers("team/app", "team"));
    }

    #[test]
    fn what_is_no_name_is_no_prefix() {
        for text in ["", "Team", "team/", "team/*"] {
            assert!(text.parse::<RepositoryPrefix>().is_err(), "{text}");
        }
    }
}
