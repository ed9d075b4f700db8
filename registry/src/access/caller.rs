use std::sync::Arc;
use std::time::SystemTime;

use berth_auth::token::Way;
use berth_auth::{AccessList, Holder, Policy};
use berth_metadata::AccessTokenId;
use berth_oci::access::{Access, AccountName};

/// Whoever makes a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Their name, for logs and events; `anonymous`.
    pub(crate) name: Arc<str>,
    /// Who they are, for decisions.
    pub(crate) holder: Holder,
    /// How they have shown it.
    pub(crate) way: Way,
    /// The access token that they have shown, if it was one.
    pub(crate) access_token: Option<AccessTokenId>,
    /// From when on their credentials are worth nothing, where that is known.
    pub(super) ends: Option<SystemTime>,
    rights: Rights,
}

/// What says what somebody may do.
#[derive(Clone, Debug)]
enum Rights {
    /// Everybody may do everything.
    All,
    /// The policy.
    Policy,
    /// The policy, of what a token is for.
    Token(Arc<AccessList>),
    /// A token of another server, alone.
    Foreign(Arc<AccessList>),
}

impl Caller {
    /// Somebody who need not say who they are.
    pub(crate) fn unrestricted() -> Self {
        Self { rights: Rights::All, ..Self::anonymous() }
    }

    /// Somebody who has not said who they are.
    pub(crate) fn anonymous() -> Self {
        Self {
            name: "anonymous".into(),
            holder: Holder::ANONYMOUS,
            way: Way::Anonymous,
            access_token: None,
            ends: None,
            rights: Rights::Policy,
        }
    }

    /// Somebody who has shown who they are.
    pub(super) fn known(name: &str, holder: Holder, way: Way) -> Self {
        Self {
            name: name.into(),
            holder,
            way,
            access_token: None,
            ends: None,
            rights: Rights::Policy,
        }
    }

    /// The holder of a token of another server.
    pub(super) fn foreign(name: &str, access: AccessList) -> Self {
        let name = if name.is_empty() { "anonymous" } else { name };
        Self {
            name: name.into(),
            holder: Holder::of(berth_auth::Who::Stranger),
            way: Way::Account,
            access_token: None,
            ends: None,
            rights: Rights::Foreign(Arc::new(access)),
        }
    }

    /// The same, with a token for no more than this.
    pub(super) fn with_token_for(mut self, access: AccessList) -> Self {
        self.rights = Rights::Token(Arc::new(access));
        self
    }

    /// Whether they have not said who they are.
    pub(crate) fn is_anonymous(&self) -> bool {
        matches!(self.holder.who, berth_auth::Who::Anonymous)
    }

    /// The account that they are.
    pub(crate) fn account(&self) -> Option<&AccountName> {
        match &self.holder.who {
            berth_auth::Who::Account(name) => Some(name),
            _ => None,
        }
    }

    /// The user in whose name they decide about accounts and grants: credentials that are for all
    /// that a user may do, and no token that was issued for something.
    pub(crate) fn administers(&self) -> Option<&AccountName> {
        let is_whole = matches!(self.rights, Rights::Policy) && self.holder.limit.is_none();
        self.account().filter(|name| is_whole && !name.is_robot())
    }

    /// Whether they may do something with a repository.
    pub(crate) fn may(&self, policy: &Policy, access: Access, repository: &str) -> bool {
        let allowed = || policy.decide(&self.holder, access, repository).is_allowed();
        match &self.rights {
            Rights::All => true,
            Rights::Policy => allowed(),
            Rights::Token(list) => list.repository(repository).contains(access) && allowed(),
            Rights::Foreign(list) => list.repository(repository).contains(access),
        }
    }

    /// Whether they may do something with a repository that the token they show is not for, so that another
    /// token of ours would let them.
    pub(crate) fn may_with_another_token(
        &self,
        policy: &Policy,
        access: Access,
        repository: &str,
    ) -> bool {
        let Rights::Token(list) = &self.rights else { return false };
        !list.repository(repository).contains(access)
            && policy.decide(&self.holder, access, repository).is_allowed()
    }

    /// Whether they may read all repositories, whatever their names.
    pub(crate) fn may_read_all(&self, policy: &Policy) -> bool {
        match &self.rights {
            Rights::All => true,
            Rights::Policy => policy.allows_everywhere(&self.holder, Access::Pull),
            Rights::Token(list) => {
                list.catalog() && policy.allows_everywhere(&self.holder, Access::Pull)
            }
            // As with `registry:2`: who may list sees all names.
            Rights::Foreign(list) => list.catalog(),
        }
    }

    /// Whether they may list repositories; which ones they see is another matter.
    pub(crate) fn may_list(&self) -> bool {
        match &self.rights {
            Rights::All | Rights::Policy => true,
            Rights::Token(list) | Rights::Foreign(list) => list.catalog(),
        }
    }

    /// Whether a repository stands in their list.
    pub(crate) fn sees(&self, policy: &Policy, repository: &str) -> bool {
        match &self.rights {
            Rights::All => true,
            // A token to list is for no repository, and still its holder may read some.
            Rights::Policy | Rights::Token(_) => {
                policy.decide(&self.holder, Access::Pull, repository).is_allowed()
            }
            Rights::Foreign(list) => list.catalog(),
        }
    }
}
