use std::time::SystemTime;

use async_trait::async_trait;
use berth_oci::access::{AccountName, RepositoryPattern, Role};

use super::policy::Change;
use crate::accounts::change::Outcome;
use crate::accounts::{rows, sql};
use crate::encoding::{micros, page};
use crate::fault::Fault;
use crate::postgres::Session;
use crate::postgres::engine::{Context, Operation};
use crate::postgres::settings::server_micros;
use crate::{AccessToken, AccessTokenId, Created, NewAccessToken, Page, SecretHash, TokenOwner};

pub(super) async fn find(
    session: &mut Session,
    hash: &SecretHash,
) -> Result<Option<TokenOwner>, Fault> {
    let row = session
        .query_as(sql::FIND_TOKEN)
        .bind(hash.0.as_slice())
        .fetch_optional(session.connection())
        .await?;
    row.map(rows::token_owner).transpose()
}

pub(super) async fn list(
    session: &mut Session,
    account: &AccountName,
    after: Option<AccessTokenId>,
    limit: u32,
) -> Result<Page<AccessToken>, Fault> {
    let rows = session
        .query_as(sql::LIST_TOKENS)
        .bind(account.as_str())
        .bind(after.map_or(0, |AccessTokenId(id)| id))
        .bind(i64::from(limit) + 1)
        .fetch_all(session.connection())
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
        let now = server_micros(context.session).await?;
        let id: Option<i64> = context
            .session
            .query_scalar(sql::INSERT_TOKEN)
            .bind(token.account.as_str())
            .bind(token.name.as_str())
            .bind(token.hash.0.as_slice())
            .bind(token.role.map(Role::as_str))
            .bind(token.repositories.as_ref().map(RepositoryPattern::as_str))
            .bind(token.expires.map(micros))
            .bind(now)
            .fetch_optional(context.session.connection())
            .await?;
        if let Some(id) = id {
            return Ok(Created::Yes(AccessTokenId(id)));
        }
        let takes_tokens: bool = context
            .session
            .query_scalar(sql::TAKES_TOKENS)
            .bind(token.account.as_str())
            .fetch_one(context.session.connection())
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

    async fn apply(&self, session: &mut Session) -> Result<Outcome<bool>, Fault> {
        let rotated = session
            .query(sql::ROTATE_TOKEN)
            .bind(self.id.0)
            .bind(self.account.as_str())
            .bind(self.hash.0.as_slice())
            .bind(self.expires.map(micros))
            .execute(session.connection())
            .await?;
        if rotated.rows_affected() > 0 {
            session
                .query(sql::DELETE_LOGINS_OF_TOKEN)
                .bind(self.id.0)
                .execute(session.connection())
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

    async fn apply(&self, session: &mut Session) -> Result<Outcome<bool>, Fault> {
        let deleted = session
            .query(sql::DELETE_TOKEN)
            .bind(self.id.0)
            .bind(self.account.as_str())
            .execute(session.connection())
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
        let (ids, times): (Vec<i64>, Vec<i64>) = rows::last_uses(&self.0).into_iter().unzip();
        context
            .session
            .query(USED)
            .bind(ids)
            .bind(times)
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}

/// A use that is told of late does not take the place of a later one. The rows are locked in the order of
/// their ids, in which everybody locks them.
pub(super) const USED: &str = "
    WITH locked AS (
        SELECT id FROM access_tokens
        WHERE id = ANY ($1::bigint[]) ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE access_tokens t SET used_at = greatest(t.used_at, u.used_at)
    FROM unnest($1::bigint[], $2::bigint[]) AS u (id, used_at) JOIN locked l ON l.id = u.id
    WHERE t.id = u.id";
