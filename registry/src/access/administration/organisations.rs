use berth_metadata::{
    Account, AccountChange, AccountKind, Member, NewAccount, OrganisationRole, Page,
};
use berth_oci::access::{AccountName, Subject};

use super::users::require_plain;
use super::{Administration, AdministrationError, Scope};

impl Administration {
    /// The organisations behind `after`: all, or those that whoever asks belongs to.
    pub(crate) async fn organisations(
        &self,
        after: Option<&AccountName>,
        limit: u32,
    ) -> Result<Page<Account>, AdministrationError> {
        let Scope::Own(own) = &self.scope else {
            let kind = AccountKind::Organisation;
            return Ok(self.store.accounts(kind, None, after, limit).await?);
        };
        let mut names: Vec<AccountName> = Vec::new();
        for subject in self.policy().memberships().of(own) {
            match subject {
                Subject::Organisation(name) if after.is_none_or(|after| name > after) => {
                    names.push(name.clone());
                }
                _ => {}
            }
        }
        names.sort_unstable();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = names.len() > limit;
        names.truncate(limit);
        let mut entries = Vec::with_capacity(names.len());
        for name in &names {
            // One that was deleted meanwhile is left out.
            entries.extend(self.store.account(name).await?);
        }
        Ok(Page { entries, more })
    }

    /// An organisation.
    pub(crate) async fn organisation(
        &self,
        name: &AccountName,
    ) -> Result<Account, AdministrationError> {
        self.require_sight(name)?;
        self.find(name, AccountKind::Organisation).await
    }

    /// Makes an organisation, and users its owners.
    pub(crate) async fn create_organisation(
        &self,
        name: AccountName,
        description: String,
        owners: &[AccountName],
    ) -> Result<Account, AdministrationError> {
        self.require_administrator("make organisations")?;
        require_plain(&name)?;
        for owner in owners {
            self.find(owner, AccountKind::User).await?;
        }
        let account = self
            .create(NewAccount {
                name,
                kind: AccountKind::Organisation,
                is_admin: false,
                password: None,
                description,
                expires: None,
            })
            .await?;
        for owner in owners {
            self.set_member(&account.name, owner, OrganisationRole::Owner).await?;
        }
        Ok(account)
    }

    /// Says what an organisation is for.
    pub(crate) async fn describe_organisation(
        &self,
        name: &AccountName,
        description: Option<String>,
    ) -> Result<Account, AdministrationError> {
        let organisation = self.decided_organisation(name).await?;
        self.change(&organisation, AccountChange { description, ..Default::default() }).await?;
        self.find(name, AccountKind::Organisation).await
    }

    /// Deletes an organisation, with its teams, its robots and the grants to them. Repositories stay.
    pub(crate) async fn delete_organisation(
        &self,
        name: &AccountName,
    ) -> Result<(), AdministrationError> {
        let organisation = self.organisation(name).await?;
        self.require_administrator("delete organisations")?;
        self.delete(&organisation).await
    }

    /// The members of an organisation behind `after`.
    pub(crate) async fn members(
        &self,
        organisation: &AccountName,
        after: Option<&AccountName>,
        limit: u32,
    ) -> Result<Page<Member>, AdministrationError> {
        self.organisation(organisation).await?;
        Ok(self.store.members(organisation, after, limit).await?)
    }

    /// Makes a user a member of an organisation, or changes their role.
    pub(crate) async fn set_member(
        &self,
        organisation: &AccountName,
        user: &AccountName,
        role: OrganisationRole,
    ) -> Result<(), AdministrationError> {
        self.decided_organisation(organisation).await?;
        if !self.store.add_member(organisation, user, role).await? {
            return Err(AdministrationError::no_account(user));
        }
        self.put_in_force().await;
        Ok(())
    }

    /// Takes a user out of an organisation and its teams. Members may leave by themselves.
    pub(crate) async fn remove_member(
        &self,
        organisation: &AccountName,
        user: &AccountName,
    ) -> Result<(), AdministrationError> {
        self.organisation(organisation).await?;
        if !matches!(&self.scope, Scope::Own(own) if own == user) {
            self.require_over(organisation)?;
        }
        if !self.store.remove_member(organisation, user).await? {
            return Err(AdministrationError::NotFound(format!(
                "{user} is no member of {organisation}"
            )));
        }
        self.put_in_force().await;
        Ok(())
    }

    /// An organisation that whoever asks decides over.
    pub(super) async fn decided_organisation(
        &self,
        name: &AccountName,
    ) -> Result<Account, AdministrationError> {
        self.require_over(name)?;
        self.find(name, AccountKind::Organisation).await
    }
}
