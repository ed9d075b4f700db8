use std::time::SystemTime;

use async_trait::async_trait;
use berth_oci::access::{AccountName, RepositoryPattern, Role};
use sqlx::SqliteConnection;

use super::policy::Change;
use crate::accounts::change::Outcome;
use crate::accounts::{rows, sql};
use crate::encoding::{json, micros, page};
use crate::fault::Fault;
use crate::sqlite::writer::{Context, Operation};
use crate::{AccessToken, AccessTokenId, Created, NewAccessToken, Page, SecretHash, TokenOwner};

pub(super) async fn find(
    connection: &mut SqliteConnection,
    hash: &SecretHash,
) -> Result<Option<TokenOwner>, Fault> {
    let row =
        sqlx::query_as(sql::FIND_TOKEN).bind(hash.0.as_slice()).fetch_optional(connection).await?;
    row.map(rows::token_owner).transpose()
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
    account: &AccountName,
    after: Option<AccessTokenId>,
    limit: u32,
) -> Result<Page<AccessToken>, Fault> {
    let rows = sqlx::query_as(sql::LIST_TOKENS)
        .bind(account.as_str())
        .bind(after.map_or(0, |AccessTokenId(id)| id))
        .bind(i64::from(limit) + 1)
        .fetch_all(connection)
        .await?;
    page(rows, limit, rows::access_token)
}

/// See [`AccountStore::create_access_token`](crate::AccountStore::create_access_token). No decision
/// followed from a secret that nobody had.
pub(super) struct Create(pub(super) NewAccessToken);

#[async_trait]
impl Operation for Create {
    type Output = Created<AccessTokenId>;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Created<AccessTokenId>, Fault> {
        let token = &self.0;
        let id: Option<i64> = sqlx::query_scalar(sql::INSERT_TOKEN)
            .bind(token.account.as_str())
            .bind(token.name.as_str())
            .bind(token.hash.0.as_slice())
            .bind(token.role.map(Role::as_str))
            .bind(token.repositories.as_ref().map(RepositoryPattern::as_str))
            .bind(token.expires.map(micros))
            .bind(context.now)
            .fetch_optional(&mut *context.connection)
            .await?;
        if let Some(id) = id {
            return Ok(Created::Yes(AccessTokenId(id)));
        }
        let takes_tokens: bool = sqlx::query_scalar(sql::TAKES_TOKENS)
            .bind(token.account.as_str())
            .fetch_one(&mut *context.connection)
            .await?;
        Ok(if takes_tokens { Created::Taken } else { Created::NoOwner })
    }
}

/// See [`AccountStore::rotate_access_token`](crate::AccountStore::rotate_access_token).
pub(super) struct Rotate {
    pub(super) account: AccountName,
    pub(super) id: AccessTokenId,
    pub(super) hash: SecretHash,
    pub(super) expires: Option<SystemTime>,
}

#[async_trait]
impl Change for Rotate {
    type Answer = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Outcome<bool>, Fault> {
        let rotated = sqlx::query(sql::ROTATE_TOKEN)
            .bind(self.id.0)
            .bind(self.account.as_str())
            .bind(self.hash.0.as_slice())
            .bind(self.expires.map(micros))
            .execute(&mut *context.connection)
            .await?;
        if rotated.rows_affected() > 0 {
            sqlx::query(sql::DELETE_LOGINS_OF_TOKEN)
                .bind(self.id.0)
                .execute(&mut *context.connection)
                .await?;
        }
        Ok(Outcome::of_rows(rotated.rows_affected()))
    }
}

/// See [`AccountStore::delete_access_token`](crate::AccountStore::delete_access_token).
pub(super) struct Delete {
    pub(super) account: AccountName,
    pub(super) id: AccessTokenId,
}

#[async_trait]
impl Change for Delete {
    type Answer = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Outcome<bool>, Fault> {
        let deleted = sqlx::query(sql::DELETE_TOKEN)
            .bind(self.id.0)
            .bind(self.account.as_str())
            .execute(&mut *context.connection)
            .await?;
        Ok(Outcome::of_rows(deleted.rows_affected()))
    }
}

/// See [`AccountStore::access_tokens_used`](crate::AccountStore::access_tokens_used).
pub(super) struct Used(pub(super) Vec<(AccessTokenId, SystemTime)>);

#[async_trait]
impl Operation for Used {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let used: Vec<_> = rows::last_uses(&self.0).into_iter().collect();
        sqlx::query(USED).bind(json(&used)?).execute(&mut *context.connection).await?;
        Ok(())
    }
}

/// A use that is told of late does not take the place of a later one.
pub(super) const USED: &str = "
    UPDATE access_tokens SET used_at = max(coalesce(used_at, 0), u.value ->> 1)
    FROM json_each($1) u
    WHERE access_tokens.id = u.value ->> 0";
