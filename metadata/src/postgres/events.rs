use std::time::SystemTime;

use async_trait::async_trait;

use super::engine::{Context, Operation};
use super::now;
use super::session::Session;
use crate::encoding::micros;
use crate::events::{self, EventRow};
use crate::fault::Fault;
use crate::{EventCount, EventId, NewEvent, RecordedEvent};

/// Writes the events of a transaction, in the order that they came in. The rows of what they tell of
/// are locked by then, so the events of one name stand in the order of their commits.
pub(super) async fn insert(session: &mut Session, recorded: &[NewEvent]) -> Result<(), Fault> {
    session.query(INSERT).bind(events::rows(recorded)?).execute(session.connection()).await?;
    Ok(())
}

const INSERT: &str = concat!(
    "INSERT INTO events (
        endpoint, uuid, action, repository, digest, tag, media_type, size, from_repository,
        descriptors, origin, happened_at
    )
    SELECT e.row ->> 0, decode(e.row ->> 1, 'hex'), e.row ->> 2, e.row ->> 3,
        decode(e.row ->> 4, 'hex'), e.row ->> 5, e.row ->> 6, (e.row ->> 7)::bigint, e.row ->> 8,
        e.row ->> 9, e.row ->> 10, t.now
    FROM json_array_elements($1::json) WITH ORDINALITY AS e (row, place), (SELECT ",
    now!(),
    " AS now) t
    ORDER BY e.place"
);

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
    session: &mut Session,
    endpoint: &str,
    limit: u32,
) -> Result<Vec<RecordedEvent>, Fault> {
    let rows: Vec<EventRow> = session
        .query_as(LIST)
        .bind(endpoint)
        .bind(i64::from(limit))
        .fetch_all(session.connection())
        .await?;
    rows.into_iter().map(events::recorded).collect()
}

pub(super) const LIST: &str =
    concat!("SELECT ", events::columns!(), " FROM events WHERE endpoint = $1 ORDER BY id LIMIT $2");

pub(super) async fn counts(session: &mut Session) -> Result<Vec<EventCount>, Fault> {
    let rows = session
        .query_as("SELECT endpoint, count(*) FROM events GROUP BY endpoint ORDER BY endpoint")
        .fetch_all(session.connection())
        .await?;
    events::counts(rows)
}

pub(super) async fn is_empty(session: &mut Session) -> Result<bool, Fault> {
    let is_empty = session
        .query_scalar("SELECT NOT EXISTS (SELECT 1 FROM events)")
        .fetch_one(session.connection())
        .await?;
    Ok(is_empty)
}

/// See [`MetadataStore::events_done`](crate::MetadataStore::events_done).
pub(super) struct Done(pub(super) Vec<EventId>);

#[async_trait]
impl Operation for Done {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let ids: Vec<i64> = self.0.iter().map(|id| id.0).collect();
        context
            .session
            .query("DELETE FROM events WHERE id = ANY($1)")
            .bind(ids)
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}

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
        let deleted = context
            .session
            .query_scalar(EXPIRE)
            .bind(micros(self.before))
            .bind(i64::from(self.limit))
            .fetch_all(context.session.connection())
            .await?;
        Ok(events::count_each(deleted))
    }
}

/// The oldest have about the least ids, so that only so many rows are looked at.
pub(super) const EXPIRE: &str = "
    DELETE FROM events
    WHERE id = ANY (ARRAY(SELECT id FROM events ORDER BY id LIMIT $2)) AND happened_at < $1
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
        let deleted = context
            .session
            .query(TRIM)
            .bind(self.endpoint.as_str())
            .bind(i64::from(self.count))
            .execute(context.session.connection())
            .await?;
        Ok(deleted.rows_affected())
    }
}

pub(super) const TRIM: &str = "
    DELETE FROM events
    WHERE id = ANY (ARRAY(SELECT id FROM events WHERE endpoint = $1 ORDER BY id LIMIT $2))";
