use std::time::SystemTime;

use async_trait::async_trait;
use sqlx::SqliteConnection;

use crate::accounts::audit::{self, Order};
use crate::accounts::codes::Coded;
use crate::accounts::rows::AuditRow;
use crate::accounts::{rows, sql};
use crate::encoding::{micros, page};
use crate::fault::Fault;
use crate::sqlite::writer::{Context, Operation};
use crate::{AuditFilter, AuditId, AuditRecord, NewAudit, Page};

pub(super) async fn list(
    connection: &mut SqliteConnection,
    filter: &AuditFilter,
    before: Option<AuditId>,
    limit: u32,
) -> Result<Page<AuditRecord>, Fault> {
    let before = match before {
        Some(id) => match place(connection, id).await? {
            Some(place) => Some(place),
            // It was among the oldest, and has been forgotten with all before it.
            None => return Ok(Page { entries: Vec::new(), more: false }),
        },
        None => None,
    };
    let (time, id) = audit::upper(filter, before);
    let list = |statement| {
        sqlx::query_as::<_, AuditRow>(statement)
            .bind(time)
            .bind(id)
            .bind(audit::lower(filter.since))
            .bind(i64::from(limit) + 1)
            .bind(filter.action.as_deref().map(audit::storable))
            .bind(filter.outcome.map(Coded::code))
    };
    let query = match Order::of(filter) {
        Order::Actor(actor, target) => list(sql::AUDIT_OF_ACTOR).bind(actor).bind(target),
        Order::Target(target) => list(sql::AUDIT_OF_TARGET).bind(target),
        Order::Time => list(sql::AUDIT),
    };
    page(query.fetch_all(connection).await?, limit, rows::audit)
}

/// Where a line stands: its time and number.
async fn place(
    connection: &mut SqliteConnection,
    AuditId(id): AuditId,
) -> Result<Option<(i64, i64)>, Fault> {
    let time: Option<i64> =
        sqlx::query_scalar(sql::AUDIT_TIME).bind(id).fetch_optional(connection).await?;
    Ok(time.map(|time| (time, id)))
}

/// See [`AccountStore::record_audit`](crate::AccountStore::record_audit).
pub(super) struct Record(pub(super) Vec<NewAudit>);

#[async_trait]
impl Operation for Record {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        sqlx::query(RECORD).bind(audit::rows(&self.0)).execute(&mut *context.connection).await?;
        Ok(())
    }
}

pub(super) const RECORD: &str = "
    INSERT INTO audit (
        happened_at, actor, action, target, reference, digest, source, outcome, detail, request
    )
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
        value ->> 6, value ->> 7, value ->> 8, value ->> 9
    FROM json_each($1)
    ORDER BY key";

/// See [`AccountStore::purge_audit`](crate::AccountStore::purge_audit).
pub(super) struct Purge {
    pub(super) before: SystemTime,
    pub(super) limit: u32,
}

#[async_trait]
impl Operation for Purge {
    type Output = u64;
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<u64, Fault> {
        let purged = sqlx::query(PURGE)
            .bind(micros(self.before))
            .bind(i64::from(self.limit))
            .execute(&mut *context.connection)
            .await?;
        Ok(purged.rows_affected())
    }
}

/// The oldest of them.
pub(super) const PURGE: &str = "
    DELETE FROM audit
    WHERE id IN (SELECT id FROM audit WHERE happened_at < $1 ORDER BY happened_at LIMIT $2)";
