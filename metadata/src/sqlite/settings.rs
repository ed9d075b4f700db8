use async_trait::async_trait;

use super::writer::{Context, Operation};
use crate::fault::Fault;

/// Records where the blobs are, unless that is recorded already. Answers what is recorded.
pub(super) struct BindStorage(pub(super) String);

#[async_trait]
impl Operation for BindStorage {
    type Output = String;

    async fn apply(&self, context: &mut Context<'_>) -> Result<String, Fault> {
        sqlx::query(BIND).bind(self.0.as_str()).execute(&mut *context.connection).await?;
        let recorded = sqlx::query_scalar("SELECT value FROM settings WHERE name = 'storage'")
            .fetch_one(&mut *context.connection)
            .await?;
        Ok(recorded)
    }
}

const BIND: &str = "
    INSERT INTO settings (name, value) VALUES ('storage', $1) ON CONFLICT (name) DO NOTHING";

/// See [`MetadataStore::rebind_storage`](crate::MetadataStore::rebind_storage).
pub(super) struct RebindStorage(pub(super) String);

#[async_trait]
impl Operation for RebindStorage {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        sqlx::query(
            "INSERT INTO settings (name, value) VALUES ('storage', $1)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(self.0.as_str())
        .execute(&mut *context.connection)
        .await?;
        Ok(())
    }
}
