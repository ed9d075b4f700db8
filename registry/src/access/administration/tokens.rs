use std::time::SystemTime;

use berth_auth::{Password, secret};
use berth_metadata::{
    AccessToken, AccessTokenId, AccountChange, AccountKind, Created, NewAccessToken, Page,
    SecretHash,
};
use berth_oci::access::{AccountName, RepositoryPattern, Role};

use super::{Administration, AdministrationError};

/// The longest name of a token, in bytes.
const LONGEST_NAME: usize = 100;

/// How many tokens are taken away at a time.
const REVOKED: u32 = 100;

/// An access token to make.
#[derive(Debug)]
pub(crate) struct NewToken {
    pub(crate) name: String,
    pub(crate) role: Option<Role>,
    pub(crate) repositories: Option<RepositoryPattern>,
    pub(crate) expires: Option<SystemTime>,
}

/// An access token, and its secret, which nobody is told again.
#[derive(Debug)]
pub(crate) struct DrawnToken {
    pub(crate) token: AccessToken,
    pub(crate) secret: Password,
}

impl Administration {
    /// The access tokens of an account behind `after`.
    pub(crate) async fn tokens(
        &self,
        account: &AccountName,
        after: Option<AccessTokenId>,
        limit: u32,
    ) -> Result<Page<AccessToken>, AdministrationError> {
        self.require_tokens_of(account).await?;
        Ok(self.store.access_tokens(account, after, limit).await?)
    }

    /// An access token.
    pub(crate) async fn token(
        &self,
        account: &AccountName,
        id: AccessTokenId,
    ) -> Result<AccessToken, AdministrationError> {
        self.require_tokens_of(account).await?;
        self.find_token(account, id).await
    }

    /// Makes an access token.
    pub(crate) async fn create_token(
        &self,
        account: &AccountName,
        new: NewToken,
    ) -> Result<DrawnToken, AdministrationError> {
        self.require_tokens_of(account).await?;
        check(&new)?;
        let secret = secret::draw(secret::ACCESS_TOKEN)?;
        let created = self
            .store
            .create_access_token(&NewAccessToken {
                account: account.clone(),
                name: new.name.clone(),
                hash: SecretHash(secret::hash(&secret)),
                role: new.role,
                repositories: new.repositories,
                expires: new.expires,
            })
            .await?;
        match created {
            Created::Yes(id) => {
                Ok(DrawnToken { token: self.find_token(account, id).await?, secret })
            }
            Created::Taken => {
                Err(AdministrationError::Taken(format!("a token {} of {account}", new.name)))
            }
            Created::NoOwner => Err(AdministrationError::no_account(account)),
        }
    }

    /// Gives an access token another secret and another end. The old secret is worth nothing any more.
    pub(crate) async fn rotate_token(
        &self,
        account: &AccountName,
        id: AccessTokenId,
        expires: Option<SystemTime>,
    ) -> Result<DrawnToken, AdministrationError> {
        self.require_tokens_of(account).await?;
        require_future(expires)?;
        let secret = secret::draw(secret::ACCESS_TOKEN)?;
        let hash = SecretHash(secret::hash(&secret));
        if !self.store.rotate_access_token(account, id, &hash, expires).await? {
            return Err(no_token(account, id));
        }
        self.put_in_force().await;
        Ok(DrawnToken { token: self.find_token(account, id).await?, secret })
    }

    /// Takes an access token away.
    pub(crate) async fn delete_token(
        &self,
        account: &AccountName,
        id: AccessTokenId,
    ) -> Result<(), AdministrationError> {
        self.require_tokens_of(account).await?;
        if !self.store.delete_access_token(account, id).await? {
            return Err(no_token(account, id));
        }
        self.put_in_force().await;
        Ok(())
    }

    /// Takes all access tokens of an account away, and ends what it has logged in with.
    pub(crate) async fn revoke(&self, account: &AccountName) -> Result<(), AdministrationError> {
        self.require_tokens_of(account).await?;
        loop {
            let page = self.store.access_tokens(account, None, REVOKED).await?;
            for token in &page.entries {
                self.store.delete_access_token(account, token.id).await?;
            }
            if !page.more {
                break;
            }
        }
        let change = AccountChange { revoke_tokens: true, ..Default::default() };
        let is_there = self.store.change_account(account, &change).await?;
        self.put_in_force().await;
        match is_there {
            true => Ok(()),
            false => Err(AdministrationError::no_account(account)),
        }
    }

    /// Refuses who does not decide over an account, or one that has no tokens.
    async fn require_tokens_of(&self, account: &AccountName) -> Result<(), AdministrationError> {
        self.require_over(account)?;
        let kind = match account.is_robot() {
            true => AccountKind::Robot,
            false => AccountKind::User,
        };
        self.find(account, kind).await.map(drop)
    }

    async fn find_token(
        &self,
        account: &AccountName,
        id: AccessTokenId,
    ) -> Result<AccessToken, AdministrationError> {
        let found = self.store.numbered_access_token(account, id).await?;
        found.ok_or_else(|| no_token(account, id))
    }
}

pub(super) fn check(new: &NewToken) -> Result<(), AdministrationError> {
    let name = &new.name;
    if name.is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) {
        return Err(AdministrationError::Invalid(
            "a token has a name of at most 100 bytes, without control characters".to_owned(),
        ));
    }
    require_future(new.expires)
}

fn require_future(expires: Option<SystemTime>) -> Result<(), AdministrationError> {
    match expires.is_some_and(|expires| expires <= SystemTime::now()) {
        true => Err(AdministrationError::Invalid("the time of `expires` is over".to_owned())),
        false => Ok(()),
    }
}

fn no_token(account: &AccountName, id: AccessTokenId) -> AdministrationError {
    AdministrationError::NotFound(format!("{account} has no token {}", id.0))
}
