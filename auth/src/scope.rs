use std::fmt;
use std::str::FromStr;

use berth_oci::RepositoryName;
use berth_oci::access::{Access, Actions};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a token is asked to be for, as the token specification of Docker writes it:
/// `repository:acme/app:pull,push`, `registry:catalog:*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// To do something with a repository.
    Repository {
        /// The repository.
        name: RepositoryName,
        /// What to do.
        actions: Actions,
    },
    /// To list the repositories.
    Catalog,
    /// Something that no registry has. A token can be asked for it, and will not be for it.
    Unknown,
}

impl FromStr for Scope {
    type Err = ScopeError;

    /// Reads a scope. What it does not know of it (kinds, actions, names that no repository can
    /// have) is not an error: a client asks for what it may need.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let (kind, rest) = text.split_once(':').ok_or(ScopeError)?;
        let (name, actions) = rest.rsplit_once(':').ok_or(ScopeError)?;
        // `repository(plugin)` is a repository too.
        let kind = kind.split_once('(').map_or(kind, |(kind, _)| kind);
        Ok(match (kind, name) {
            ("repository", name) => match name.parse() {
                Ok(name) => Self::Repository { name, actions: read_actions(actions) },
                Err(_) => Self::Unknown,
            },
            ("registry", "catalog") => Self::Catalog,
            _ => Self::Unknown,
        })
    }
}

fn read_actions(text: &str) -> Actions {
    let wanted = |action: &str| match action {
        "*" => Actions::ALL,
        name => Access::named(name).map_or(Actions::NONE, Actions::from),
    };
    text.split(',').map(wanted).fold(Actions::NONE, Actions::union)
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository { name, actions } => write!(f, "repository:{name}:{actions}"),
            Self::Catalog => f.write_str("registry:catalog:*"),
            Self::Unknown => f.write_str(""),
        }
    }
}

/// Not of the form `KIND:NAME:ACTIONS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a scope has the form repository:NAME:pull,push")]
pub struct ScopeError;

/// An entry of a token's `access` claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessEntry {
    /// `repository` or `registry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of what.
    pub name: String,
    /// What may be done.
    pub actions: Vec<String>,
}

impl AccessEntry {
    /// What the holder may do with a repository.
    pub fn of_repository(name: &RepositoryName, actions: Actions) -> Self {
        Self {
            kind: "repository".to_owned(),
            name: name.to_string(),
            actions: actions.iter().map(|access| access.as_str().to_owned()).collect(),
        }
    }

    /// That the holder may list the repositories.
    pub fn of_catalog() -> Self {
        Self {
            kind: "registry".to_owned(),
            name: "catalog".to_owned(),
            actions: vec!["*".to_owned()],
        }
    }
}

/// What a token is for: its `access` claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccessList(pub Vec<AccessEntry>);

impl AccessList {
    /// What may be done with a repository.
    pub fn repository(&self, name: &str) -> Actions {
        let is_it = |entry: &&AccessEntry| {
            let kind = entry.kind.split_once('(').map_or(&*entry.kind, |(kind, _)| kind);
            kind == "repository" && entry.name == name
        };
        let entries = self.0.iter().filter(is_it);
        entries
            .map(|entry| read_actions(&entry.actions.join(",")))
            .fold(Actions::NONE, Actions::union)
    }

    /// Whether the repositories may be listed.
    pub fn catalog(&self) -> bool {
        let is_it = |entry: &AccessEntry| {
            entry.kind == "registry"
                && entry.name == "catalog"
                && entry.actions.iter().any(|action| action == "*")
        };
        self.0.iter().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_clients_are_read() {
        let repository = |name: &str, actions: &[Access]| Scope::Repository {
            name: name.parse().unwrap(),
            actions: actions.iter().copied().collect(),
        };
        for (text, scope) in [
            ("repository:a/b:pull,push", repository("a/b", &[Access::Pull, Access::Push])),
            ("repository:a:*", repository("a", &Access::ALL)),
            ("repository:a:pull,fly", repository("a", &[Access::Pull])),
            ("repository:a:", repository("a", &[])),
            ("repository(plugin):a:pull", repository("a", &[Access::Pull])),
            ("registry:catalog:*", Scope::Catalog),
            ("repository:A:pull", Scope::Unknown),
            ("repository:host:5000/a:pull", Scope::Unknown),
            ("artifact:a:pull", Scope::Unknown),
        ] {
            assert_eq!(text.parse(), Ok(scope), "{text}");
        }
        for text in ["", "pull", "repository:a"] {
            assert_eq!(text.parse::<Scope>(), Err(ScopeError), "{text}");
        }
    }

    #[test]
    fn an_access_list_adds_up() {
        let json = r#"[{"type":"repository","name":"a","actions":["pull"]},
            {"type":"repository","name":"a","actions":["push"]},
            {"type":"repository","name":"b","actions":["*"]}]"#;
        let list: AccessList = serde_json::from_str(json).unwrap();
        assert_eq!(list.repository("a"), [Access::Pull, Access::Push].into_iter().collect());
        assert_eq!(list.repository("b"), Actions::ALL);
        assert!(list.repository("c").is_empty() && !list.catalog());
        assert!(AccessList(vec![AccessEntry::of_catalog()]).catalog());
    }
}
