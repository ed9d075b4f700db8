use berth_oci::access::{Access, AccountName, RepositoryPattern, Role};
use serde::{Deserialize, Serialize};

/// What decisions need to know of whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Who they are.
    pub who: Who,
    /// Whether they may do everything.
    pub is_admin: bool,
    /// What their credentials are for, whatever they themselves may do.
    #[serde(default, skip_serializing_if = "Limit::is_none")]
    pub limit: Limit,
}

impl Holder {
    /// Somebody who has not said who they are.
    pub const ANONYMOUS: Self = Self::of(Who::Anonymous);

    /// Somebody whose credentials are for all that they may do, and who is no administrator.
    pub const fn of(who: Who) -> Self {
        Self { who, is_admin: false, limit: Limit { role: None, repositories: None } }
    }
}

/// Who somebody is, as far as grants can name them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// They have not said.
    Anonymous,
    /// A user or a robot.
    Account(AccountName),
    /// A workload whose claims fulfil this rule.
    Workload(AccountName),
    /// Somebody who has shown who they are, by a name that no account can have.
    Stranger,
}

/// The most that credentials are for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// What this role allows, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// These repositories alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repositories: Option<RepositoryPattern>,
}

impl Limit {
    /// Whether there is no limit.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn allows(&self, access: Access, repository: &str) -> bool {
        self.role.is_none_or(|role| role.actions().contains(access))
            && self.repositories.as_ref().is_none_or(|pattern| pattern.matches(repository))
    }

    pub(super) fn allows_everywhere(&self, access: Access) -> bool {
        self.role.is_none_or(|role| role.actions().contains(access))
            && self.repositories.as_ref().is_none_or(|pattern| pattern.as_str() == "**")
    }
}
