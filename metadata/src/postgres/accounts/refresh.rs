use async_trait::async_trait;
use berth_oci::access::AccountName;

use super::policy::Change;
use crate::accounts::change::Outcome;
use crate::accounts::{rows, sql};
use crate::encoding::micros;
use crate::fault::Fault;
use crate::postgres::Session;
use crate::postgres::engine::{Context, Operation};
use crate::postgres::settings::server_micros;
use crate::{NewRefreshToken, RefreshUse, SecretHash};

/// What the use of a token comes to that is not exchanged.
pub(super) async fn look(session: &mut Session, hash: &SecretHash) -> Result<RefreshUse, Fault> {
    let now = server_micros(session).await?;
    find(session, hash, now).await
}

async fn find(session: &mut Session, hash: &SecretHash, now: i64) -> Result<RefreshUse, Fault> {
    let row = session
        .query_as(sql::FIND_REFRESH_TOKEN)
        .bind(hash.0.as_slice())
        .fetch_optional(session.connection())
        .await?;
    rows::refresh_use(row, now)
}

async fn insert(
    session: &mut Session,
    hash: &SecretHash,
    login: i64,
    now: i64,
) -> Result<(), Fault> {
    session
        .query(sql::INSERT_REFRESH_TOKEN)
        .bind(hash.0.as_slice())
        .bind(login)
        .bind(now)
        .execute(session.connection())
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
        let account = token.account.as_ref().map(AccountName::as_str);
        context
            .session
            .query(LOCK_ACCOUNT)
            .bind(account)
            .execute(context.session.connection())
            .await?;
        let login: Option<i64> = context
            .session
            .query_scalar(sql::INSERT_LOGIN)
            .bind(token.subject.as_str())
            .bind(account)
            .bind(token.access_token.map(|id| id.0))
            .bind(token.client.as_str())
            .bind(token.details.as_str())
            .bind(micros(token.expires))
            .fetch_optional(context.session.connection())
            .await?;
        match login {
            Some(login) => {
                let now = server_micros(context.session).await?;
                insert(context.session, &token.hash, login, now).await
            }
            None => Ok(()),
        }
    }
}

/// Whoever revokes the account's tokens meanwhile waits, and finds this one.
pub(super) const LOCK_ACCOUNT: &str = "SELECT 1 FROM accounts WHERE name = $1 FOR SHARE";

/// Exchanges a token. One that has been exchanged before is left as it is.
pub(super) struct Exchange {
    pub(super) hash: SecretHash,
    pub(super) next: SecretHash,
}

#[async_trait]
impl Operation for Exchange {
    type Output = RefreshUse;

    async fn apply(&self, context: &mut Context<'_>) -> Result<RefreshUse, Fault> {
        let session = &mut *context.session;
        session.query(LOCK).bind(self.hash.0.as_slice()).execute(session.connection()).await?;
        let now = server_micros(session).await?;
        let found = find(session, &self.hash, now).await?;
        if let RefreshUse::Good { .. } = found {
            let login = session
                .query_scalar(sql::EXCHANGE)
                .bind(self.hash.0.as_slice())
                .fetch_one(session.connection())
                .await?;
            insert(session, &self.next, login, now).await?;
        }
        Ok(found)
    }
}

/// One exchange of a login is made at a time: what another one has done is seen by the statements
/// behind this.
pub(super) const LOCK: &str = "
    SELECT id FROM logins
    WHERE id = (SELECT login_id FROM refresh_tokens WHERE hash = $1) FOR UPDATE";

/// Takes a token away, with all that came of the same login.
pub(super) struct Delete(pub(super) SecretHash);

#[async_trait]
impl Change for Delete {
    type Answer = bool;

    async fn apply(&self, session: &mut Session) -> Result<Outcome<bool>, Fault> {
        let deleted = session
            .query(sql::DELETE_LOGIN)
            .bind(self.0.0.as_slice())
            .execute(session.connection())
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
        let session = &mut *context.session;
        let now = server_micros(session).await?;
        let purge = |statement| session.query(statement).bind(now).bind(i64::from(self.0));
        let (tokens, logins) = (purge(PURGE_TOKENS), purge(PURGE_LOGINS));
        let purged = tokens.execute(session.connection()).await?;
        logins.execute(session.connection()).await?;
        Ok(purged.rows_affected())
    }
}

/// Tokens of logins that have been over the longest, but for those that somebody is at. `LATERAL` with a
/// limit has the server look up one login after the other, by index.
pub(super) const PURGE_TOKENS: &str = "
    WITH over AS (
        SELECT id FROM logins WHERE expires_at <= $1
        ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    DELETE FROM refresh_tokens
    WHERE hash = ANY (ARRAY(
        SELECT f.hash FROM over o
        CROSS JOIN LATERAL (
            SELECT t.hash FROM refresh_tokens t WHERE t.login_id = o.id LIMIT $2
        ) f
        LIMIT $2
    ))";

/// Logins that are over, once none of their tokens is left.
pub(super) const PURGE_LOGINS: &str = "
    DELETE FROM logins l
    WHERE l.id = ANY (ARRAY(
            SELECT id FROM logins WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
        ))
        AND NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.login_id = l.id)";
