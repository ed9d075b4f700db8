use std::time::SystemTime;

use berth_auth::Password;
use berth_metadata::{Account, AccountChange, AccountKind, NewAccount, Page};
use berth_oci::access::AccountName;

use super::{Administration, AdministrationError, Asker, Scope};

/// A user to make.
#[derive(Debug)]
pub(crate) struct NewUser {
    pub(crate) name: AccountName,
    pub(crate) password: Option<Password>,
    pub(crate) is_admin: bool,
    pub(crate) description: String,
    pub(crate) expires: Option<SystemTime>,
}

/// What to change of a user; `None` leaves it as it is.
#[derive(Debug, Default)]
pub(crate) struct UserChange {
    pub(crate) password: Option<Password>,
    pub(crate) is_admin: Option<bool>,
    pub(crate) is_disabled: Option<bool>,
    pub(crate) description: Option<String>,
    pub(crate) expires: Option<Option<SystemTime>>,
}

impl Administration {
    /// The users behind `after`.
    pub(crate) async fn users(
        &self,
        after: Option<&AccountName>,
        limit: u32,
    ) -> Result<Page<Account>, AdministrationError> {
        self.require_administrator("list the users")?;
        Ok(self.store.accounts(AccountKind::User, None, after, limit).await?)
    }

    /// A user.
    pub(crate) async fn user(&self, name: &AccountName) -> Result<Account, AdministrationError> {
        self.require_over(name)?;
        self.find(name, AccountKind::User).await
    }

    /// Makes a user.
    pub(crate) async fn create_user(&self, new: NewUser) -> Result<Account, AdministrationError> {
        self.require_administrator("make users")?;
        require_plain(&new.name)?;
        let password = match new.password {
            Some(password) => Some(self.hash(password).await?),
            None => None,
        };
        self.create(NewAccount {
            name: new.name,
            kind: AccountKind::User,
            is_admin: new.is_admin,
            password,
            description: new.description,
            expires: new.expires,
        })
        .await
    }

    /// Changes a user. Who is disabled, and who has another password, has to log in anew everywhere.
    pub(crate) async fn change_user(
        &self,
        name: &AccountName,
        change: UserChange,
    ) -> Result<Account, AdministrationError> {
        let user = self.user(name).await?;
        if matches!(self.scope, Scope::Own(_)) {
            self.refuse_beyond_own(&change)?;
        }
        let revoke_tokens = change.password.is_some() || change.is_disabled == Some(true);
        let password = match change.password {
            Some(password) => Some(Some(self.hash(password).await?)),
            None => None,
        };
        let change = AccountChange {
            is_admin: change.is_admin,
            is_disabled: change.is_disabled,
            password,
            description: change.description,
            expires: change.expires,
            revoke_tokens,
            ..Default::default()
        };
        self.change(&user, change).await?;
        self.user(name).await
    }

    /// Deletes a user, with all that is theirs but their repositories.
    pub(crate) async fn delete_user(&self, name: &AccountName) -> Result<(), AdministrationError> {
        let user = self.user(name).await?;
        self.require_administrator("delete users")?;
        self.delete(&user).await
    }

    /// Refuses what users do not decide about themselves.
    fn refuse_beyond_own(&self, change: &UserChange) -> Result<(), AdministrationError> {
        if change.is_admin.is_some() || change.is_disabled.is_some() || change.expires.is_some() {
            return Err(AdministrationError::denied(
                "only administrators say who is one, who is disabled, and until when",
            ));
        }
        // Whoever has found a token must not have the account with it.
        let by_token =
            matches!(&self.asker, Asker::Caller(caller) if caller.access_token.is_some());
        match change.password.is_some() && by_token {
            true => Err(AdministrationError::denied(
                "log in with the present password, not with an access token, to set another one",
            )),
            false => Ok(()),
        }
    }
}

/// Refuses the name of a robot for who is none.
pub(super) fn require_plain(name: &AccountName) -> Result<(), AdministrationError> {
    match name.is_robot() {
        true => Err(AdministrationError::Invalid(format!(
            "{name} is the name of a robot: leave out the '+'"
        ))),
        false => Ok(()),
    }
}
