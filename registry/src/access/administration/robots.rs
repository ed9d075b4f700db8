use std::time::SystemTime;

use berth_metadata::{Account, AccountChange, AccountKind, NewAccount, Page};
use berth_oci::access::{AccountName, RepositoryPattern, Role};

use super::tokens::check;
use super::{Administration, AdministrationError, DrawnToken, NewToken, Scope};

/// What the token that is made with a robot is called.
const FIRST_TOKEN: &str = "first";

/// A robot to make, with its token.
#[derive(Debug)]
pub(crate) struct NewRobot {
    pub(crate) name: AccountName,
    pub(crate) description: String,
    /// The most that the token may do.
    pub(crate) role: Option<Role>,
    /// The only repositories that the token is for.
    pub(crate) repositories: Option<RepositoryPattern>,
    /// When the token ends.
    pub(crate) expires: Option<SystemTime>,
}

/// What to change of a robot; `None` leaves it as it is.
#[derive(Debug, Default)]
pub(crate) struct RobotChange {
    pub(crate) is_disabled: Option<bool>,
    pub(crate) description: Option<String>,
}

impl Administration {
    /// The robots of an owner behind `after`; without an owner all of them, or whoever asks' own.
    pub(crate) async fn robots(
        &self,
        owner: Option<&AccountName>,
        after: Option<&AccountName>,
        limit: u32,
    ) -> Result<Page<Account>, AdministrationError> {
        let owner = match (owner, &self.scope) {
            (Some(owner), _) => {
                self.require_over(owner)?;
                Some(owner)
            }
            (None, Scope::Own(own)) => Some(own),
            (None, Scope::All) => None,
        };
        Ok(self.store.accounts(AccountKind::Robot, owner, after, limit).await?)
    }

    /// A robot.
    pub(crate) async fn robot(&self, name: &AccountName) -> Result<Account, AdministrationError> {
        self.require_over(name)?;
        self.find(name, AccountKind::Robot).await
    }

    /// Makes a robot, and its token.
    pub(crate) async fn create_robot(
        &self,
        new: NewRobot,
    ) -> Result<(Account, DrawnToken), AdministrationError> {
        self.require_over(&new.name)?;
        if !new.name.is_robot() {
            return Err(AdministrationError::Invalid(format!(
                "a robot is named OWNER+NAME, for example {}+deploy",
                new.name
            )));
        }
        let token = NewToken {
            name: FIRST_TOKEN.to_owned(),
            role: new.role,
            repositories: new.repositories,
            expires: new.expires,
        };
        check(&token)?;
        let robot = self
            .create(NewAccount {
                name: new.name,
                kind: AccountKind::Robot,
                is_admin: false,
                password: None,
                description: new.description,
                expires: None,
            })
            .await?;
        let token = self.create_token(&robot.name, token).await?;
        Ok((robot, token))
    }

    /// Changes a robot.
    pub(crate) async fn change_robot(
        &self,
        name: &AccountName,
        change: RobotChange,
    ) -> Result<Account, AdministrationError> {
        let robot = self.robot(name).await?;
        let change = AccountChange {
            is_disabled: change.is_disabled,
            description: change.description,
            revoke_tokens: change.is_disabled == Some(true),
            ..Default::default()
        };
        self.change(&robot, change).await?;
        self.robot(name).await
    }

    /// Deletes a robot, with its tokens and the grants to it.
    pub(crate) async fn delete_robot(&self, name: &AccountName) -> Result<(), AdministrationError> {
        let robot = self.robot(name).await?;
        self.delete(&robot).await
    }
}
