use std::fmt;

use serde::{Deserialize, Serialize};

use super::{RepositoryPattern, Role, Subject};

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
