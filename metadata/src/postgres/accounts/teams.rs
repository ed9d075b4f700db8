use async_trait::async_trait;
use berth_oci::access::{AccountName, TeamName};

use super::policy::Change;
use crate::accounts::change::Outcome;
use crate::accounts::codes::parsed;
use crate::accounts::{rows, sql};
use crate::encoding::page;
use crate::fault::Fault;
use crate::postgres::Session;
use crate::{Created, Member, Page};

pub(super) async fn list(
    session: &mut Session,
    organisation: &AccountName,
    after: Option<&TeamName>,
    limit: u32,
) -> Result<Page<TeamName>, Fault> {
    let rows: Vec<(String,)> = session
        .query_as(sql::LIST_TEAMS)
        .bind(organisation.as_str())
        .bind(after.map_or("", TeamName::as_str))
        .bind(i64::from(limit) + 1)
        .fetch_all(session.connection())
        .await?;
    page(rows, limit, |(name,)| parsed(&name, "team"))
}

pub(super) async fn exists(session: &mut Session, team: &TeamName) -> Result<bool, Fault> {
    let exists =
        session.query_scalar(sql::TEAM_EXISTS).bind(team.as_str()).fetch_one(session.connection());
    Ok(exists.await?)
}

pub(super) async fn members(
    session: &mut Session,
    team: &TeamName,
    after: Option<&AccountName>,
    limit: u32,
) -> Result<Page<Member>, Fault> {
    let rows = session
        .query_as(sql::LIST_TEAM_MEMBERS)
        .bind(team.as_str())
        .bind(after.map_or("", AccountName::as_str))
        .bind(i64::from(limit) + 1)
        .fetch_all(session.connection())
        .await?;
    page(rows, limit, rows::member)
}

/// See [`AccountStore::create_team`](crate::AccountStore::create_team).
pub(super) struct Create(pub(super) TeamName);

#[async_trait]
impl Change for Create {
    type Answer = Created;

    async fn apply(&self, session: &mut Session) -> Result<Outcome<Created>, Fault> {
        let team = &self.0;
        let inserted = session
            .query(sql::INSERT_TEAM)
            .bind(team.as_str())
            .bind(team.organisation().as_str())
            .execute(session.connection())
            .await?;
        if inserted.rows_affected() > 0 {
            return Ok(Outcome::changed(Created::Yes(())));
        }
        Ok(Outcome::unchanged(match exists(session, team).await? {
            true => Created::Taken,
            false => Created::NoOwner,
        }))
    }
}

/// See [`AccountStore::delete_team`](crate::AccountStore::delete_team).
pub(super) struct Delete(pub(super) TeamName);

#[async_trait]
impl Change for Delete {
    type Answer = bool;

    async fn apply(&self, session: &mut Session) -> Result<Outcome<bool>, Fault> {
        let deleted = session
            .query(sql::DELETE_TEAM)
            .bind(self.0.as_str())
            .execute(session.connection())
            .await?;
        Ok(Outcome::of_rows(deleted.rows_affected()))
    }
}

/// See [`AccountStore::add_team_member`](crate::AccountStore::add_team_member).
pub(super) struct AddMember {
    pub(super) team: TeamName,
    pub(super) user: AccountName,
}

#[async_trait]
impl Change for AddMember {
    type Answer = bool;

    async fn apply(&self, session: &mut Session) -> Result<Outcome<bool>, Fault> {
        let mut added = 0;
        for statement in [sql::JOIN_ORGANISATION, sql::ADD_TEAM_MEMBER] {
            let done = session
                .query(statement)
                .bind(self.team.as_str())
                .bind(self.user.as_str())
                .execute(session.connection())
                .await?;
            added += done.rows_affected();
        }
        if added > 0 {
            return Ok(Outcome::changed(true));
        }
        let is_member = session
            .query_scalar(sql::IS_TEAM_MEMBER)
            .bind(self.team.as_str())
            .bind(self.user.as_str())
            .fetch_one(session.connection())
            .await?;
        Ok(Outcome::unchanged(is_member))
    }
}

/// See [`AccountStore::remove_team_member`](crate::AccountStore::remove_team_member).
pub(super) struct RemoveMember {
    pub(super) team: TeamName,
    pub(super) user: AccountName,
}

#[async_trait]
impl Change for RemoveMember {
    type Answer = bool;

    async fn apply(&self, session: &mut Session) -> Result<Outcome<bool>, Fault> {
        let removed = session
            .query(sql::REMOVE_TEAM_MEMBER)
            .bind(self.team.as_str())
            .bind(self.user.as_str())
            .execute(session.connection())
            .await?;
        Ok(Outcome::of_rows(removed.rows_affected()))
    }
}
