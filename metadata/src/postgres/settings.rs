use std::time::SystemTime;

use async_trait::async_trait;

use super::engine::{Context, Operation};
use super::now;
use super::session::Session;
use crate::encoding::time;
use crate::fault::Fault;

/// The server's time.
pub(super) async fn server_time(session: &mut Session) -> Result<SystemTime, Fault> {
    time(server_micros(session).await?)
}

/// The server's time as columns hold it.
pub(super) async fn server_micros(session: &mut Session) -> Result<i64, Fault> {
    let micros =
        session.query_scalar(concat!("SELECT ", now!())).fetch_one(session.connection()).await?;
    Ok(micros)
}

/// Why the database is not to be served, if it is not.
pub(super) async fn closed(session: &mut Session) -> Result<Option<String>, Fault> {
    let reason = session
        .query_scalar("SELECT value FROM settings WHERE name = 'closed'")
        .fetch_optional(session.connection())
        .await?;
    Ok(reason)
}

/// Records where the blobs are, unless that is recorded already. Answers what is recorded.
pub(super) struct BindStorage(pub(super) String);

#[async_trait]
impl Operation for BindStorage {
    type Output = String;

    async fn apply(&self, context: &mut Context<'_>) -> Result<String, Fault> {
        let bind = context.session.query(
            "INSERT INTO settings (name, value) VALUES ('storage', $1) ON CONFLICT (name) DO NOTHING",
        );
        bind.bind(self.0.as_str()).execute(context.session.connection()).await?;
        let recorded = context
            .session
            .query_scalar("SELECT value FROM settings WHERE name = 'storage'")
            .fetch_one(context.session.connection())
            .await?;
        Ok(recorded)
    }
}

/// See [`MetadataStore::rebind_storage`](crate::MetadataStore::rebind_storage).
pub(super) struct RebindStorage(pub(super) String);

#[async_trait]
impl Operation for RebindStorage {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        context
            .session
            .query(
                "INSERT INTO settings (name, value) VALUES ('storage', $1)
                ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(self.0.as_str())
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}
