use std::time::SystemTime;

use async_trait::async_trait;

use crate::SigningKey;
use crate::accounts::{rows, sql};
use crate::encoding::micros;
use crate::fault::Fault;
use crate::postgres::Session;
use crate::postgres::engine::{Context, Operation};

pub(super) async fn list(session: &mut Session) -> Result<Vec<SigningKey>, Fault> {
    let rows = session.query_as(sql::LIST_KEYS).fetch_all(session.connection()).await?;
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
        // Whoever comes second sees what the first has done.
        context.session.execute("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE").await?;
        let newest: Option<String> = context
            .session
            .query_scalar(sql::NEWEST_KEY)
            .fetch_optional(context.session.connection())
            .await?;
        if newest == self.newest {
            context
                .session
                .query(sql::INSERT_KEY)
                .bind(self.key.id.as_str())
                .bind(self.key.private.as_slice())
                .bind(micros(self.key.created))
                .execute(context.session.connection())
                .await?;
            context
                .session
                .query(sql::FORGET_KEYS)
                .bind(micros(self.forget))
                .execute(context.session.connection())
                .await?;
        }
        list(context.session).await
    }
}
