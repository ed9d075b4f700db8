use async_trait::async_trait;
use berth_oci::access::{AccountName, Subject};
use sqlx::SqliteConnection;

use super::policy::Change;
use super::{account, teams};
use crate::accounts::change::Outcome;
use crate::accounts::codes::Coded;
use crate::accounts::rows::GrantRow;
use crate::accounts::{rows, sql};
use crate::encoding::page;
use crate::fault::Fault;
use crate::sqlite::writer::Context;
use crate::{AccountKind, Created, GrantFilter, GrantId, NewGrant, Page, StoredGrant};

pub(super) async fn find(
    connection: &mut SqliteConnection,
    id: GrantId,
) -> Result<Option<StoredGrant>, Fault> {
    let row = sqlx::query_as(sql::FIND_GRANT).bind(id.0).fetch_optional(connection).await?;
    row.map(rows::grant).transpose()
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
    filter: &GrantFilter,
    after: Option<GrantId>,
    limit: u32,
) -> Result<Page<StoredGrant>, Fault> {
    let after = after.map_or(0, |GrantId(id)| id);
    let list =
        |statement| sqlx::query_as::<_, GrantRow>(statement).bind(after).bind(i64::from(limit) + 1);
    let namespace = filter.namespace.as_ref().map(AccountName::as_str);
    let rows = match (&filter.subject, namespace) {
        (Some(subject), namespace) => {
            list(sql::LIST_GRANTS_OF_SUBJECT).bind(subject.to_string()).bind(namespace)
        }
        (None, Some(namespace)) => list(sql::LIST_GRANTS_OF_NAMESPACE).bind(namespace),
        (None, None) => list(sql::LIST_GRANTS),
    };
    page(rows.fetch_all(connection).await?, limit, rows::grant)
}

/// See [`AccountStore::add_grant`](crate::AccountStore::add_grant).
pub(super) struct Add(pub(super) NewGrant);

#[async_trait]
impl Change for Add {
    type Answer = Created<GrantId>;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Outcome<Created<GrantId>>, Fault> {
        let NewGrant { grant, by } = &self.0;
        if !is_there(context.connection, &grant.subject).await? {
            return Ok(Outcome::unchanged(Created::NoOwner));
        }
        let subject = grant.subject.to_string();
        let same: Option<i64> = sqlx::query_scalar(sql::FIND_SAME_GRANT)
            .bind(subject.as_str())
            .bind(grant.repositories.as_str())
            .bind(grant.role.as_str())
            .bind(grant.effect.code())
            .fetch_optional(&mut *context.connection)
            .await?;
        if let Some(id) = same {
            return Ok(Outcome::unchanged(Created::Yes(GrantId(id))));
        }
        let (account, team) = rows::named(&grant.subject);
        let id = sqlx::query_scalar(sql::INSERT_GRANT)
            .bind(subject.as_str())
            .bind(grant.repositories.as_str())
            .bind(grant.role.as_str())
            .bind(grant.effect.code())
            .bind(rows::namespace(&grant.repositories))
            .bind(by.as_str())
            .bind(context.now)
            .bind(account)
            .bind(team)
            .fetch_one(&mut *context.connection)
            .await?;
        Ok(Outcome::changed(Created::Yes(GrantId(id))))
    }
}

/// Whether there is whom a subject names. Whom others name is not in the database.
async fn is_there(connection: &mut SqliteConnection, subject: &Subject) -> Result<bool, Fault> {
    match subject {
        Subject::Account(name) => {
            let kind = account::kind(connection, name).await?;
            Ok(kind.is_some_and(|kind| kind != AccountKind::Organisation))
        }
        Subject::Organisation(name) => {
            Ok(account::kind(connection, name).await? == Some(AccountKind::Organisation))
        }
        Subject::Team(team) => teams::exists(connection, team).await,
        Subject::Anyone | Subject::Authenticated | Subject::Workload(_) => Ok(true),
    }
}

/// See [`AccountStore::remove_grant`](crate::AccountStore::remove_grant).
pub(super) struct Remove(pub(super) GrantId);

#[async_trait]
impl Change for Remove {
    type Answer = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Outcome<bool>, Fault> {
        let removed =
            sqlx::query(sql::DELETE_GRANT).bind(self.0.0).execute(&mut *context.connection).await?;
        Ok(Outcome::of_rows(removed.rows_affected()))
    }
}
