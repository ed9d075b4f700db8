//! What users, robots and organisations have in common.

use berth_metadata::{Account, AccountChange, AccountKind, Created, NewAccount};
use berth_oci::access::AccountName;

use super::{Administration, AdministrationError};

/// The longest description, in bytes.
const LONGEST_DESCRIPTION: usize = 1000;

impl Administration {
    pub(super) async fn find(
        &self,
        name: &AccountName,
        kind: AccountKind,
    ) -> Result<Account, AdministrationError> {
        let account = self.store.account(name).await?;
        account
            .filter(|account| account.kind == kind)
            .ok_or_else(|| AdministrationError::no_account(name))
    }

    pub(super) async fn create(&self, new: NewAccount) -> Result<Account, AdministrationError> {
        check_description(&new.description)?;
        match self.store.create_account(&new).await? {
            Created::Yes(()) => {}
            Created::Taken => return Err(AdministrationError::Taken(new.name.to_string())),
            Created::NoOwner => {
                let owner = new.name.owner().unwrap_or(new.name);
                return Err(AdministrationError::no_account(&owner));
            }
        }
        self.put_in_force().await;
        self.find(&new.name, new.kind).await
    }

    /// Changes an account, unless that would leave no administrator.
    pub(super) async fn change(
        &self,
        account: &Account,
        change: AccountChange,
    ) -> Result<(), AdministrationError> {
        if let Some(description) = &change.description {
            check_description(description)?;
        }
        let change = AccountChange { spare_last_admin: loses_admin(&change), ..change };
        if !self.store.change_account(&account.name, &change).await? {
            return Err(match self.store.account(&account.name).await? {
                Some(_) => AdministrationError::LastAdministrator(account.name.clone()),
                None => AdministrationError::no_account(&account.name),
            });
        }
        self.put_in_force().await;
        Ok(())
    }

    pub(super) async fn delete(&self, account: &Account) -> Result<(), AdministrationError> {
        if account.is_admin {
            // Whether another one is left is decided by the change that makes it matter.
            let demote = AccountChange { is_admin: Some(false), ..Default::default() };
            self.change(account, demote).await?;
        }
        match self.store.delete_account(&account.name).await? {
            true => {
                self.put_in_force().await;
                Ok(())
            }
            false => Err(AdministrationError::no_account(&account.name)),
        }
    }
}

/// Whether an administrator could be none afterwards, now or some day.
fn loses_admin(change: &AccountChange) -> bool {
    change.is_admin == Some(false)
        || change.is_disabled == Some(true)
        || matches!(change.expires, Some(Some(_)))
}

fn check_description(text: &str) -> Result<(), AdministrationError> {
    match text.len() > LONGEST_DESCRIPTION || text.contains(char::is_control) {
        true => Err(AdministrationError::Invalid(
            "a description is one line of at most 1000 bytes".to_owned(),
        )),
        false => Ok(()),
    }
}
