use std::sync::Arc;

use berth_auth::{Holder, Policy, Who};
use berth_metadata::{Account, AccountKind};
use berth_oci::RepositoryName;
use berth_oci::access::{Access, AccountName};

use super::{Administration, AdministrationError};
use crate::access::login::is_active;
use crate::access::rules;

/// Whether somebody may do something.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) who: Who,
    pub(crate) access: Access,
    pub(crate) repository: RepositoryName,
}

/// The answer.
#[derive(Debug)]
pub(crate) struct Explained {
    pub(crate) is_allowed: bool,
    /// Why, for a person.
    pub(crate) reason: String,
}

impl Administration {
    /// Says whether somebody may do something with a repository, and why.
    pub(crate) async fn explain(
        &self,
        question: Question,
    ) -> Result<Explained, AdministrationError> {
        let Question { who, access, repository } = question;
        let mut holder = Holder::of(who);
        match &holder.who {
            Who::Anonymous | Who::Stranger => {}
            Who::Workload(_) => self.require_administrator("ask what workloads may do")?,
            Who::Account(name) => {
                self.require_over(name)?;
                match self.account_of_caller(name).await? {
                    Some(account) if !is_active(&account) => {
                        let reason = format!("denied: {name} is disabled or expired");
                        return Ok(Explained { is_allowed: false, reason });
                    }
                    Some(account) => holder.is_admin = account.is_admin,
                    None => {}
                }
            }
        }
        let policy = self.policy_in_force().await?;
        let decision = policy.decide(&holder, access, repository.as_str());
        let mut reason = decision.to_string();
        if !self.registry.config().auth.is_enabled() {
            reason.push_str("; until `auth` is enabled, everybody may do everything");
        }
        Ok(Explained { is_allowed: decision.is_allowed(), reason })
    }

    /// The account of somebody who may log in; nothing for a name that a password file or a
    /// certificate can hold without any.
    async fn account_of_caller(
        &self,
        name: &AccountName,
    ) -> Result<Option<Account>, AdministrationError> {
        let auth = &self.registry.config().auth;
        let has_others = auth.htpasswd.is_some() || auth.certificates.enabled;
        if auth.is_enabled() && !auth.accounts.enabled {
            return Ok(None);
        }
        match self.store.account(name).await? {
            Some(account) if account.kind == AccountKind::Organisation => {
                Err(AdministrationError::Invalid(format!(
                    "{name} is an organisation, which does nothing itself: ask for one of its members"
                )))
            }
            None if !has_others => Err(AdministrationError::no_account(name)),
            account => Ok(account),
        }
    }

    /// The policy that requests are decided by; where no request is, the one that would be.
    async fn policy_in_force(&self) -> Result<Arc<Policy>, AdministrationError> {
        if self.registry.access.is_some() {
            return Ok(self.policy());
        }
        let mut auth = self.registry.config().auth.clone();
        auth.accounts.enabled |= !auth.is_enabled();
        Ok(Arc::new(rules::read(&auth, self.store.as_ref()).await?.1))
    }
}
