use async_trait::async_trait;
use berth_oci::access::{AccountName, Subject};

use super::policy::Change;
use super::{account, teams};
use crate::accounts::change::Outcome;
use crate::accounts::codes::Coded;
use crate::accounts::rows::GrantRow;
use crate::accounts::{rows, sql};
use crate::encoding::page;
use crate::fault::Fault;
use crate::postgres::Session;
use crate::postgres::settings::server_micros;
use crate::{AccountKind, Created, GrantFilter, GrantId, NewGrant, Page, StoredGrant};

pub(super) async fn find(session: &mut Session, id: GrantId) -> Result<Option<StoredGrant>, Fault> {
    let row =
        session.query_as(sql::FIND_GRANT).bind(id.0).fetch_optional(session.connection()).await?;
    row.map(rows::grant).transpose()
}

pub(super) async fn list(
    session: &mut Session,
    filter: &GrantFilter,
    after: Option<GrantId>,
    limit: u32,
) -> Result<Page<StoredGrant>, Fault> {
    let after = after.map_or(0, |GrantId(id)| id);
    let list =
        |statement| session.query_as::<GrantRow>(statement).bind(after).bind(i64::from(limit) + 1);
    let namespace = filter.namespace.as_ref().map(AccountName::as_str);
    let rows = match (&filter.subject, namespace) {
        (Some(subject), namespace) => {
            list(sql::LIST_GRANTS_OF_SUBJECT).bind(subject.to_string()).bind(namespace)
        }
        (None, Some(namespace)) => list(sql::LIST_GRANTS_OF_NAMESPACE).bind(namespace),
        (None, None) => list(sql::LIST_GRANTS),
    };
    page(rows.fetch_all(session.connection()).await?, limit, rows::grant)
}

/// See [`AccountStore::add_grant`](crate::AccountStore::add_grant).
pub(super) struct Add(pub(super) NewGrant);

#[async_trait]
impl Change for Add {
    type Answer = Created<GrantId>;

    async fn apply(&self, session: &mut Session) -> Result<Outcome<Created<GrantId>>, Fault> {
        let NewGrant { grant, by } = &self.0;
        if !is_there(session, &grant.subject).await? {
            return Ok(Outcome::unchanged(Created::NoOwner));
        }
        let subject = grant.subject.to_string();
        let same: Option<i64> = session
            .query_scalar(sql::FIND_SAME_GRANT)
            .bind(subject.as_str())
            .bind(grant.repositories.as_str())
            .bind(grant.role.as_str())
            .bind(grant.effect.code())
            .fetch_optional(session.connection())
            .await?;
        if let Some(id) = same {
            return Ok(Outcome::unchanged(Created::Yes(GrantId(id))));
        }
        let now = server_micros(session).await?;
        let (account, team) = rows::named(&grant.subject);
        let id = session
            .query_scalar(sql::INSERT_GRANT)
            .bind(subject.as_str())
            .bind(grant.repositories.as_str())
            .bind(grant.role.as_str())
            .bind(grant.effect.code())
            .bind(rows::namespace(&grant.repositories))
            .bind(by.as_str())
            .bind(now)
            .bind(account)
            .bind(team)
            .fetch_one(session.connection())
            .await?;
        Ok(Outcome::changed(Created::Yes(GrantId(id))))
    }
}

/// Whether there is whom a subject names. Whom others name is not in the database.
async fn is_there(session: &mut Session, subject: &Subject) -> Result<bool, Fault> {
    match subject {
        Subject::Account(name) => {
            let kind = account::kind(session, name).await?;
            Ok(kind.is_some_and(|kind| kind != AccountKind::Organisation))
        }
        Subject::Organisation(name) => {
            Ok(account::kind(session, name).await? == Some(AccountKind::Organisation))
        }
        Subject::Team(team) => teams::exists(session, team).await,
        Subject::Anyone | Subject::Authenticated | Subject::Workload(_) => Ok(true),
    }
}

/// See [`AccountStore::remove_grant`](crate::AccountStore::remove_grant).
pub(super) struct Remove(pub(super) GrantId);

#[async_trait]
impl Change for Remove {
    type Answer = bool;

    async fn apply(&self, session: &mut Session) -> Result<Outcome<bool>, Fault> {
        let removed =
            session.query(sql::DELETE_GRANT).bind(self.0.0).execute(session.connection()).await?;
        Ok(Outcome::of_rows(removed.rows_affected()))
    }
}
