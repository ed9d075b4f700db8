use std::time::SystemTime;

use async_trait::async_trait;
use sqlx::SqliteConnection;

use crate::SigningKey;
use crate::accounts::{rows, sql};
use crate::encoding::micros;
use crate::fault::Fault;
use crate::sqlite::writer::{Context, Operation};

pub(super) async fn list(connection: &mut SqliteConnection) -> Result<Vec<SigningKey>, Fault> {
    let rows = sqlx::query_as(sql::LIST_KEYS).fetch_all(connection).await?;
    rows.into_iter().map(rows::signing_key).collect()
}

/// See [`AccountStore::add_signing_key`](crate::AccountStore::add_signing_key).
pub(super) struct Add {
    pub(super) key: SigningKey,
    pub(super) newest: Option<String>,
    pub(super) forget: SystemTime,
}

#[async_trait]
impl Operation for Add {
    type Output = Vec<SigningKey>;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Vec<SigningKey>, Fault> {
        let newest: Option<String> =
            sqlx::query_scalar(sql::NEWEST_KEY).fetch_optional(&mut *context.connection).await?;
        if newest == self.newest {
            sqlx::query(sql::INSERT_KEY)
                .bind(self.key.id.as_str())
                .bind(self.key.private.as_slice())
                .bind(micros(self.key.created))
                .execute(&mut *context.connection)
                .await?;
            sqlx::query(sql::FORGET_KEYS)
                .bind(micros(self.forget))
                .execute(&mut *context.connection)
                .await?;
        }
        list(context.connection).await
    }
}
