use std::time::SystemTime;

use async_trait::async_trait;
use berth_oci::access::AccountName;
use sqlx::SqliteConnection;

use super::policy::Change;
use crate::accounts::change::Outcome;
use crate::accounts::{rows, sql};
use crate::encoding::micros;
use crate::fault::Fault;
use crate::sqlite::writer::{Context, Operation};
use crate::{NewRefreshToken, RefreshUse, SecretHash};

/// What the use of a token comes to that is not exchanged.
pub(super) async fn look(
    connection: &mut SqliteConnection,
    hash: &SecretHash,
) -> Result<RefreshUse, Fault> {
    find(connection, hash, micros(SystemTime::now())).await
}

async fn find(
    connection: &mut SqliteConnection,
    hash: &SecretHash,
    now: i64,
) -> Result<RefreshUse, Fault> {
    let row = sqlx::query_as(sql::FIND_REFRESH_TOKEN)
        .bind(hash.0.as_slice())
        .fetch_optional(connection)
        .await?;
    rows::refresh_use(row, now)
}

async fn insert(context: &mut Context<'_>, hash: &SecretHash, login: i64) -> Result<(), Fault> {
    sqlx::query(sql::INSERT_REFRESH_TOKEN)
        .bind(hash.0.as_slice())
        .bind(login)
        .bind(context.now)
        .execute(&mut *context.connection)
        .await?;
    Ok(())
}

/// See [`AccountStore::create_refresh_token`](crate::AccountStore::create_refresh_token).
pub(super) struct Create(pub(super) NewRefreshToken);

#[async_trait]
impl Operation for Create {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let token = &self.0;
        let login: Option<i64> = sqlx::query_scalar(sql::INSERT_LOGIN)
            .bind(token.subject.as_str())
            .bind(token.account.as_ref().map(AccountName::as_str))
            .bind(token.access_token.map(|id| id.0))
            .bind(token.client.as_str())
            .bind(token.details.as_str())
            .bind(micros(token.expires))
            .fetch_optional(&mut *context.connection)
            .await?;
        match login {
            Some(login) => insert(context, &token.hash, login).await,
            None => Ok(()),
        }
    }
}

/// Exchanges a token. One that has been exchanged before is left as it is.
pub(super) struct Exchange {
    pub(super) hash: SecretHash,
    pub(super) next: SecretHash,
}

#[async_trait]
impl Operation for Exchange {
    type Output = RefreshUse;

    async fn apply(&self, context: &mut Context<'_>) -> Result<RefreshUse, Fault> {
        let found = find(context.connection, &self.hash, context.now).await?;
        if let RefreshUse::Good { .. } = found {
            let login = sqlx::query_scalar(sql::EXCHANGE)
                .bind(self.hash.0.as_slice())
                .fetch_one(&mut *context.connection)
                .await?;
            insert(context, &self.next, login).await?;
        }
        Ok(found)
    }
}

/// Takes a token away, with all that came of the same login.
pub(super) struct Delete(pub(super) SecretHash);

#[async_trait]
impl Change for Delete {
    type Answer = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Outcome<bool>, Fault> {
        let deleted = sqlx::query(sql::DELETE_LOGIN)
            .bind(self.0.0.as_slice())
            .execute(&mut *context.connection)
            .await?;
        Ok(Outcome::of_rows(deleted.rows_affected()))
    }
}

/// See [`AccountStore::purge_refresh_tokens`](crate::AccountStore::purge_refresh_tokens).
pub(super) struct Purge(pub(super) u32);

#[async_trait]
impl Operation for Purge {
    type Output = u64;
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<u64, Fault> {
        let limit = i64::from(self.0);
        let purge = |statement| sqlx::query(statement).bind(context.now).bind(limit);
        let purged = purge(PURGE_TOKENS).execute(&mut *context.connection).await?;
        purge(PURGE_LOGINS).execute(&mut *context.connection).await?;
        Ok(purged.rows_affected())
    }
}

/// Tokens of the logins that have been over the longest.
pub(super) const PURGE_TOKENS: &str = "
    DELETE FROM refresh_tokens
    WHERE hash IN (
        SELECT t.hash FROM logins l CROSS JOIN refresh_tokens t ON t.login_id = l.id
        WHERE l.expires_at <= $1 ORDER BY l.expires_at LIMIT $2
    )";

/// Logins that are over, once none of their tokens is left.
pub(super) const PURGE_LOGINS: &str = "
    DELETE FROM logins
    WHERE id IN (SELECT id FROM logins WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)
        AND NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.login_id = logins.id)";
