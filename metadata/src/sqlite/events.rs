use std::time::SystemTime;

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::writer::{Context, Operation};
use crate::encoding::micros;
use crate::events::{self, EventRow};
use crate::fault::Fault;
use crate::{EventCount, EventId, NewEvent, RecordedEvent};

/// Writes the events of a whole transaction, in the order that they came in.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    now: i64,
    recorded: &[NewEvent],
) -> Result<(), Fault> {
    sqlx::query(INSERT).bind(events::rows(recorded)?).bind(now).execute(connection).await?;
    Ok(())
}

pub(super) const INSERT: &str = "
    INSERT INTO events (
        endpoint, uuid, action, repository, digest, tag, media_type, size, from_repository,
        descriptors, origin, happened_at
    )
    SELECT value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, unhex(value ->> 4),
        value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, $2
    FROM json_each($1)
    ORDER BY key";

/// See [`MetadataStore::record_events`](crate::MetadataStore::record_events).
pub(super) struct Record(pub(super) Vec<NewEvent>);

#[async_trait]
impl Operation for Record {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        context.events.extend_from_slice(&self.0);
        Ok(())
    }
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
    endpoint: &str,
    limit: u32,
) -> Result<Vec<RecordedEvent>, Fault> {
    let rows: Vec<EventRow> =
        sqlx::query_as(LIST).bind(endpoint).bind(i64::from(limit)).fetch_all(connection).await?;
    rows.into_iter().map(events::recorded).collect()
}

pub(super) const LIST: &str =
    concat!("SELECT ", events::columns!(), " FROM events WHERE endpoint = $1 ORDER BY id LIMIT $2");

pub(super) async fn counts(connection: &mut SqliteConnection) -> Result<Vec<EventCount>, Fault> {
    events::counts(sqlx::query_as(COUNTS).fetch_all(connection).await?)
}

pub(super) const COUNTS: &str =
    "SELECT endpoint, count(*) FROM events GROUP BY endpoint ORDER BY endpoint";

pub(super) async fn is_empty(connection: &mut SqliteConnection) -> Result<bool, Fault> {
    let row: Option<(i64,)> =
        sqlx::query_as("SELECT id FROM events LIMIT 1").fetch_optional(connection).await?;
    Ok(row.is_none())
}

/// See [`MetadataStore::events_done`](crate::MetadataStore::events_done).
pub(super) struct Done(pub(super) Vec<EventId>);

#[async_trait]
impl Operation for Done {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let ids: Vec<i64> = self.0.iter().map(|id| id.0).collect();
        let ids = serde_json::Value::from(ids).to_string();
        sqlx::query(DONE).bind(ids).execute(&mut *context.connection).await?;
        Ok(())
    }
}

pub(super) const DONE: &str = "DELETE FROM events WHERE id IN (SELECT value FROM json_each($1))";

/// See [`MetadataStore::expire_events`](crate::MetadataStore::expire_events).
pub(super) struct Expire {
    pub(super) before: SystemTime,
    pub(super) limit: u32,
}

#[async_trait]
impl Operation for Expire {
    type Output = Vec<EventCount>;
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Vec<EventCount>, Fault> {
        let deleted = sqlx::query_scalar(EXPIRE)
            .bind(micros(self.before))
            .bind(i64::from(self.limit))
            .fetch_all(&mut *context.connection)
            .await?;
        Ok(events::count_each(deleted))
    }
}

/// The oldest have the least ids, so that only so many rows are looked at.
pub(super) const EXPIRE: &str = "
    DELETE FROM events
    WHERE id IN (SELECT id FROM events ORDER BY id LIMIT $2) AND happened_at < $1
    RETURNING endpoint";

/// See [`MetadataStore::trim_events`](crate::MetadataStore::trim_events).
pub(super) struct Trim {
    pub(super) endpoint: String,
    pub(super) count: u32,
}

#[async_trait]
impl Operation for Trim {
    type Output = u64;
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<u64, Fault> {
        let deleted = sqlx::query(TRIM)
            .bind(self.endpoint.as_str())
            .bind(i64::from(self.count))
            .execute(&mut *context.connection)
            .await?;
        Ok(deleted.rows_affected())
    }
}

pub(super) const TRIM: &str = "
    DELETE FROM events
    WHERE id IN (SELECT id FROM events WHERE endpoint = $1 ORDER BY id LIMIT $2)";
