use async_trait::async_trait;
use berth_oci::access::AccountName;

use super::policy::Change;
use crate::accounts::change::Outcome;
use crate::accounts::codes::Coded;
use crate::accounts::{rows, sql};
use crate::encoding::{micros, page};
use crate::fault::Fault;
use crate::postgres::Session;
use crate::postgres::settings::server_micros;
use crate::{Account, AccountChange, AccountKind, Created, NewAccount, Page};

pub(super) async fn find(
    session: &mut Session,
    name: &AccountName,
) -> Result<Option<Account>, Fault> {
    let row = session
        .query_as(sql::FIND_ACCOUNT)
        .bind(name.as_str())
        .fetch_optional(session.connection())
        .await?;
    row.map(rows::account).transpose()
}

/// What the account of this name is, if there is one.
pub(super) async fn kind(
    session: &mut Session,
    name: &AccountName,
) -> Result<Option<AccountKind>, Fault> {
    let kind: Option<String> = session
        .query_scalar(sql::FIND_KIND)
        .bind(name.as_str())
        .fetch_optional(session.connection())
        .await?;
    kind.map(|kind| AccountKind::decode(&kind)).transpose()
}

pub(super) async fn list(
    session: &mut Session,
    kind: AccountKind,
    owner: Option<&AccountName>,
    after: Option<&AccountName>,
    limit: u32,
) -> Result<Page<Account>, Fault> {
    let list = |statement| {
        session
            .query_as(statement)
            .bind(kind.code())
            .bind(after.map_or("", AccountName::as_str))
            .bind(i64::from(limit) + 1)
    };
    let rows = match owner {
        Some(owner) => {
            list(sql::LIST_ROBOTS).bind(owner.as_str()).fetch_all(session.connection()).await?
        }
        None => list(sql::LIST_ACCOUNTS).fetch_all(session.connection()).await?,
    };
    page(rows, limit, rows::account)
}

pub(super) async fn has_any(session: &mut Session) -> Result<bool, Fault> {
    Ok(session.query_scalar(sql::HAS_ACCOUNTS).fetch_one(session.connection()).await?)
}

/// See [`AccountStore::create_account`](crate::AccountStore::create_account).
pub(super) struct Create(pub(super) NewAccount);

#[async_trait]
impl Change for Create {
    type Answer = Created;

    async fn apply(&self, session: &mut Session) -> Result<Outcome<Created>, Fault> {
        let account = &self.0;
        let owner = account.name.owner();
        if let Some(owner) = &owner
            && kind(session, owner).await?.is_none()
        {
            return Ok(Outcome::unchanged(Created::NoOwner));
        }
        let now = server_micros(session).await?;
        let inserted = session
            .query(sql::INSERT_ACCOUNT)
            .bind(account.name.as_str())
            .bind(account.kind.code())
            .bind(owner.as_ref().map(AccountName::as_str))
            .bind(i64::from(account.is_admin))
            .bind(account.password.as_deref())
            .bind(account.description.as_str())
            .bind(account.expires.map(micros))
            .bind(now)
            .execute(session.connection())
            .await?;
        Ok(match inserted.rows_affected() {
            0 => Outcome::unchanged(Created::Taken),
            _ => Outcome::changed(Created::Yes(())),
        })
    }
}

/// See [`AccountStore::change_account`](crate::AccountStore::change_account).
pub(super) struct ChangeAccount {
    pub(super) name: AccountName,
    pub(super) change: AccountChange,
}

#[async_trait]
impl Change for ChangeAccount {
    type Answer = bool;

    async fn apply(&self, session: &mut Session) -> Result<Outcome<bool>, Fault> {
        let Self { name, change } = self;
        let now = server_micros(session).await?;
        let changed = session
            .query(sql::CHANGE_ACCOUNT)
            .bind(name.as_str())
            .bind(change.is_admin.map(i64::from))
            .bind(change.is_disabled.map(i64::from))
            .bind(i64::from(change.password.is_some()))
            .bind(change.password.as_ref().and_then(Option::as_deref))
            .bind(change.description.as_deref())
            .bind(i64::from(change.expires.is_some()))
            .bind(change.expires.flatten().map(micros))
            .bind(i64::from(change.revoke_tokens))
            .bind(now)
            .bind(i64::from(change.spare_last_admin))
            .execute(session.connection())
            .await?;
        if change.revoke_tokens && changed.rows_affected() > 0 {
            session
                .query(sql::DELETE_LOGINS)
                .bind(name.as_str())
                .execute(session.connection())
                .await?;
        }
        Ok(Outcome::of_rows(changed.rows_affected()))
    }
}

/// See [`AccountStore::delete_account`](crate::AccountStore::delete_account). What belongs to the
/// account refers to it, and goes with it.
pub(super) struct Delete(pub(super) AccountName);

#[async_trait]
impl Change for Delete {
    type Answer = bool;

    async fn apply(&self, session: &mut Session) -> Result<Outcome<bool>, Fault> {
        let deleted = session
            .query(sql::DELETE_ACCOUNT)
            .bind(self.0.as_str())
            .execute(session.connection())
            .await?;
        Ok(Outcome::of_rows(deleted.rows_affected()))
    }
}
