use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Access, Actions};

/// What a grant allows, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// To pull.
    Reader,
    /// To pull and push.
    Writer,
    /// To pull, push and delete.
    Maintainer,
    /// All of that, and to say who may do what.
    Admin,
}

impl Role {
    /// Each of them, the least first.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Writer, Self::Maintainer, Self::Admin];

    /// What it allows.
    pub fn actions(self) -> Actions {
        let count = match self {
            Self::Reader => 1,
            Self::Writer => 2,
            Self::Maintainer => 3,
            Self::Admin => 4,
        };
        Access::ALL.into_iter().take(count).collect()
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Maintainer => "maintainer",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|role| role.as_str() == text);
        named.ok_or("a role is reader, writer, maintainer or admin")
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
