use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::{Query, QueryAs, QueryScalar};
use sqlx::{FromRow, PgConnection};

use crate::fault::Fault;

/// A connection, and whether statements that it has once run stay prepared on the server.
#[derive(Debug)]
pub(crate) struct Session {
    connection: PgConnection,
    prepare: bool,
}

impl Session {
    pub(crate) fn new(connection: PgConnection, prepare: bool) -> Self {
        Self { connection, prepare }
    }

    /// The connection, to run a statement on.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    pub(crate) fn into_connection(self) -> PgConnection {
        self.connection
    }

    pub(crate) fn query<'q>(&self, sql: &'static str) -> Query<'q, Postgres, PgArguments> {
        sqlx::query(sql).persistent(self.prepare)
    }

    pub(crate) fn query_as<'q, O>(&self, sql: &'static str) -> QueryAs<'q, Postgres, O, PgArguments>
    where
        O: for<'r> FromRow<'r, PgRow>,
    {
        sqlx::query_as(sql).persistent(self.prepare)
    }

    pub(crate) fn query_scalar<'q, O>(
        &self,
        sql: &'static str,
    ) -> QueryScalar<'q, Postgres, O, PgArguments>
    where
        (O,): for<'r> FromRow<'r, PgRow>,
    {
        sqlx::query_scalar(sql).persistent(self.prepare)
    }

    /// Runs statements without parameters, in one message.
    pub(crate) async fn execute(&mut self, sql: &'static str) -> Result<(), Fault> {
        sqlx::raw_sql(sql).execute(&mut self.connection).await?;
        Ok(())
    }
}
