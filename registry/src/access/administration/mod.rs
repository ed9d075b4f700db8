//! Who may use the registry, and what they may do, as somebody decides it: accounts, teams, tokens and
//! grants.
//!
//! Administrators decide everything, and so does whoever runs commands on the machine. The owners of an
//! organisation decide over its members, teams and robots, and who may use its repositories; users
//! over themselves, their robots and their repositories. Whoever shows credentials that are for less
//! than their owner may do decides nothing.

mod accounts;
mod asker;
mod audit;
mod error;
mod explain;
mod grants;
mod organisations;
mod robots;
mod teams;
mod tokens;
mod users;

use std::sync::Arc;

use berth_auth::password::Passwords;
use berth_auth::{Password, Policy};
use berth_metadata::AccountStore;
use berth_oci::access::{AccountName, Subject};
use tracing::warn;

pub(crate) use asker::Asker;
pub(crate) use error::AdministrationError;
pub(crate) use explain::Question;
pub(crate) use robots::{NewRobot, RobotChange};
pub(crate) use tokens::{DrawnToken, NewToken};
pub(crate) use users::{NewUser, UserChange};

use crate::Registry;

/// The decisions that somebody may make.
#[derive(Debug)]
pub(crate) struct Administration {
    registry: Arc<Registry>,
    store: Arc<dyn AccountStore>,
    asker: Asker,
    scope: Scope,
}

/// Over what somebody decides.
#[derive(Clone, Debug)]
enum Scope {
    /// Everything.
    All,
    /// What is this user's, and what follows from it.
    Own(AccountName),
}

/// What an account is to whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// They decide over it.
    Over,
    /// They belong to it, and may look.
    Member,
    /// It is none of their business.
    Stranger,
}

impl Administration {
    /// What `asker` may decide.
    ///
    /// # Errors
    /// When that is nothing.
    pub(crate) fn new(registry: Arc<Registry>, asker: Asker) -> Result<Self, AdministrationError> {
        let scope = match &asker {
            Asker::Operator => Scope::All,
            Asker::Caller(caller) => match caller.administers() {
                Some(_) if caller.holder.is_admin => Scope::All,
                Some(account) => Scope::Own(account.clone()),
                None => return Err(AdministrationError::NoAdministrator),
            },
        };
        let store = registry.accounts.clone().ok_or(AdministrationError::NoAccounts)?;
        Ok(Self { registry, store, asker, scope })
    }

    fn policy(&self) -> Arc<Policy> {
        let access = self.registry.access.as_ref();
        // Without callers nobody decides but the operator, who needs no policy for it.
        access.map_or_else(Arc::default, |access| Arc::clone(&access.policy()))
    }

    fn standing(&self, account: &AccountName) -> Standing {
        let Scope::Own(own) = &self.scope else { return Standing::Over };
        let policy = self.policy();
        let memberships = policy.memberships();
        let owner = account.owner();
        let decider = owner.as_ref().unwrap_or(account);
        if decider == own || memberships.is_owner(own, decider.as_str()) {
            return Standing::Over;
        }
        match memberships.of(own).contains(&Subject::Organisation(decider.clone())) {
            true => Standing::Member,
            false => Standing::Stranger,
        }
    }

    /// Refuses who does not decide over an account. Whoever may not even look is told what they would
    /// be told if it were not there.
    fn require_over(&self, account: &AccountName) -> Result<(), AdministrationError> {
        match self.standing(account) {
            Standing::Over => Ok(()),
            Standing::Member => Err(AdministrationError::denied(format!(
                "only its owners and administrators decide over {account}"
            ))),
            Standing::Stranger => Err(AdministrationError::no_account(account)),
        }
    }

    /// Refuses who may not look at an account.
    fn require_sight(&self, account: &AccountName) -> Result<(), AdministrationError> {
        match self.standing(account) {
            Standing::Over | Standing::Member => Ok(()),
            Standing::Stranger => Err(AdministrationError::no_account(account)),
        }
    }

    /// Refuses who does not decide everything.
    fn require_administrator(&self, what: &str) -> Result<(), AdministrationError> {
        match self.scope {
            Scope::All => Ok(()),
            Scope::Own(_) => {
                Err(AdministrationError::denied(format!("only administrators {what}")))
            }
        }
    }

    /// Puts a change in force at once in this process; others see it within a second.
    async fn put_in_force(&self) {
        let Some(access) = &self.registry.access else { return };
        if let Err(error) = access.follow_policy().await {
            warn!(%error, "a change of accounts or grants is in force as soon as the database answers");
            access.wake();
        }
    }

    async fn hash(&self, password: Password) -> Result<String, AdministrationError> {
        let hashed = match &self.registry.access {
            Some(access) => access.passwords.hash(password).await,
            None => Passwords::new(1)?.hash(password).await,
        };
        hashed.map_err(AdministrationError::Password)
    }
}
