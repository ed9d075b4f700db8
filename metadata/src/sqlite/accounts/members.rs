use async_trait::async_trait;
use berth_oci::access::AccountName;
use sqlx::SqliteConnection;

use super::policy::Change;
use crate::accounts::change::Outcome;
use crate::accounts::codes::Coded;
use crate::accounts::{rows, sql};
use crate::encoding::page;
use crate::fault::Fault;
use crate::sqlite::writer::Context;
use crate::{Member, OrganisationRole, Page};

pub(super) async fn list(
    connection: &mut SqliteConnection,
    organisation: &AccountName,
    after: Option<&AccountName>,
    limit: u32,
) -> Result<Page<Member>, Fault> {
    let rows = sqlx::query_as(sql::LIST_MEMBERS)
        .bind(organisation.as_str())
        .bind(after.map_or("", AccountName::as_str))
        .bind(i64::from(limit) + 1)
        .fetch_all(connection)
        .await?;
    page(rows, limit, rows::member)
}

/// See [`AccountStore::add_member`](crate::AccountStore::add_member).
pub(super) struct Add {
    pub(super) organisation: AccountName,
    pub(super) user: AccountName,
    pub(super) role: OrganisationRole,
}

#[async_trait]
impl Change for Add {
    type Answer = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Outcome<bool>, Fault> {
        let added = sqlx::query(sql::ADD_MEMBER)
            .bind(self.organisation.as_str())
            .bind(self.user.as_str())
            .bind(self.role.code())
            .execute(&mut *context.connection)
            .await?;
        if added.rows_affected() > 0 {
            return Ok(Outcome::changed(true));
        }
        let is_member = sqlx::query_scalar(sql::IS_MEMBER)
            .bind(self.organisation.as_str())
            .bind(self.user.as_str())
            .fetch_one(&mut *context.connection)
            .await?;
        Ok(Outcome::unchanged(is_member))
    }
}

/// See [`AccountStore::remove_member`](crate::AccountStore::remove_member).
pub(super) struct Remove {
    pub(super) organisation: AccountName,
    pub(super) user: AccountName,
}

#[async_trait]
impl Change for Remove {
    type Answer = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Outcome<bool>, Fault> {
        let removed = sqlx::query(sql::REMOVE_MEMBER)
            .bind(self.organisation.as_str())
            .bind(self.user.as_str())
            .execute(&mut *context.connection)
            .await?;
        Ok(Outcome::of_rows(removed.rows_affected()))
    }
}
