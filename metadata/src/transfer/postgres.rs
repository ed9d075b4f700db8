use std::collections::HashSet;

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::{AssertSqlSafe, Row as _};

use super::side::Side;
use super::tables::{Kind, Row, Table, Value};
use crate::postgres::transfer_session;
use crate::postgres::{Session, explain};
use crate::{MetadataError, PostgresOptions};

/// The database in PostgreSQL.
pub(super) struct PostgresSide {
    name: String,
    session: Session,
    /// The names of its tables: a source may have the schema of a version before.
    tables: HashSet<String>,
}

impl PostgresSide {
    /// Connects: to a source as it is, for it may be in use; a target is brought to the present schema.
    pub(super) async fn open(
        options: &PostgresOptions,
        is_source: bool,
    ) -> Result<Self, MetadataError> {
        let (name, mut session) = transfer_session(options, is_source).await?;
        let tables: Vec<String> = session
            .query_scalar(
                "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()",
            )
            .fetch_all(session.connection())
            .await
            .map_err(told)?;
        Ok(Self { name, session, tables: tables.into_iter().collect() })
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), MetadataError> {
        self.session.execute(sql).await.map_err(explain)
    }
}

type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

fn bind<'q>(query: Query<'q>, value: &Value) -> Query<'q> {
    match value.clone() {
        Value::Null => query.bind(None::<i64>),
        Value::Integer(integer) => query.bind(integer),
        Value::Text(text) => query.bind(text),
        Value::Bytes(bytes) => query.bind(bytes),
    }
}

fn value(row: &PgRow, place: usize, kind: Kind) -> Result<Value, sqlx::Error> {
    Ok(match kind {
        Kind::Integer => row.try_get::<Option<_>, _>(place)?.map(Value::Integer),
        Kind::Text => row.try_get::<Option<_>, _>(place)?.map(Value::Text),
        Kind::Bytes => row.try_get::<Option<_>, _>(place)?.map(Value::Bytes),
    }
    .unwrap_or(Value::Null))
}

/// Binds the values that many rows have in one column, as an array.
fn bind_column<'q>(query: Query<'q>, rows: &[Row], place: usize, kind: Kind) -> Query<'q> {
    let column = rows.iter().map(|row| row[place].clone());
    match kind {
        Kind::Integer => {
            let integer = |value| match value {
                Value::Integer(integer) => Some(integer),
                _ => None,
            };
            query.bind(column.map(integer).collect::<Vec<Option<i64>>>())
        }
        Kind::Text => {
            let text = |value| match value {
                Value::Text(text) => Some(text),
                _ => None,
            };
            query.bind(column.map(text).collect::<Vec<Option<String>>>())
        }
        Kind::Bytes => {
            let bytes = |value| match value {
                Value::Bytes(bytes) => Some(bytes),
                _ => None,
            };
            query.bind(column.map(bytes).collect::<Vec<Option<Vec<u8>>>>())
        }
    }
}

fn array(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "bigint[]",
        Kind::Text => "text[]",
        Kind::Bytes => "bytea[]",
    }
}

fn told(error: sqlx::Error) -> MetadataError {
    explain(error.into())
}

#[async_trait]
impl Side for PostgresSide {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn has(&self, table: &Table) -> bool {
        self.tables.contains(table.name)
    }

    async fn hold_still(&mut self) -> Result<(), MetadataError> {
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }

    async fn let_go(&mut self) -> Result<(), MetadataError> {
        self.execute("COMMIT").await
    }

    /// Nothing keeps replicas away but that they are stopped: whether any is connected is seen by
    /// its name.
    async fn take(&mut self) -> Result<(), MetadataError> {
        let others: i64 = self
            .session
            .query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                AND application_name = 'berth' AND pid <> pg_backend_pid()",
            )
            .fetch_one(self.session.connection())
            .await
            .map_err(told)?;
        match others {
            0 => Ok(()),
            _ => Err(MetadataError::InUse { path: self.name.clone().into() }),
        }
    }

    async fn rows(
        &mut self,
        table: &'static Table,
        behind: Option<&[Value]>,
        limit: usize,
    ) -> Result<Vec<Row>, MetadataError> {
        let query = sqlx::query(AssertSqlSafe(table.select(behind.is_some())));
        let query = query.bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let query = behind.unwrap_or_default().iter().fold(query, bind);
        let rows = query.fetch_all(self.session.connection()).await.map_err(told)?;
        let kinds = table.kinds(false);
        let row = |row: &PgRow| -> Result<Row, sqlx::Error> {
            kinds.iter().enumerate().map(|(place, kind)| value(row, place, *kind)).collect()
        };
        rows.iter().map(row).collect::<Result<_, _>>().map_err(told)
    }

    async fn payload(
        &mut self,
        table: &'static Table,
        key: &[Value],
    ) -> Result<Option<Vec<u8>>, MetadataError> {
        let Some(sql) = table.select_payload() else { return Ok(None) };
        let query = key.iter().fold(sqlx::query(AssertSqlSafe(sql)), bind);
        let row = query.fetch_optional(self.session.connection()).await;
        row.and_then(|row| row.map(|row| row.try_get(0)).transpose()).map_err(told)
    }

    async fn write(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<(), MetadataError> {
        if rows.is_empty() {
            return Ok(());
        }
        let kinds = table.kinds(true);
        let arrays: Vec<String> = kinds
            .iter()
            .enumerate()
            .map(|(place, kind)| format!("${}::{}", place + 1, array(*kind)))
            .collect();
        let statement = table.upsert(&format!("SELECT * FROM unnest({})", arrays.join(", ")));
        let query = sqlx::query(AssertSqlSafe(statement));
        let query = kinds
            .iter()
            .enumerate()
            .fold(query, |query, (place, kind)| bind_column(query, &rows, place, *kind));
        query.execute(self.session.connection()).await.map(drop).map_err(told)
    }

    async fn delete(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<(), MetadataError> {
        let mut statements = table.delete_dependents();
        statements.push(table.delete());
        for row in &rows {
            for statement in &statements {
                let query = sqlx::query(AssertSqlSafe(statement.clone()));
                let query = table.key_of(row).iter().fold(query, bind);
                query.execute(self.session.connection()).await.map_err(told)?;
            }
        }
        Ok(())
    }

    /// New rows get the numbers behind those that were written, and the planner learns what there
    /// is.
    async fn settle(&mut self) -> Result<(), MetadataError> {
        for statement in [
            "SELECT setval(pg_get_serial_sequence('repositories', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM repositories), false)",
            "SELECT setval(pg_get_serial_sequence('blobs', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM blobs), false)",
            "SELECT setval(pg_get_serial_sequence('manifests', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM manifests), false)",
            "SELECT setval(pg_get_serial_sequence('garbage', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM garbage), false)",
            "SELECT setval(pg_get_serial_sequence('deletions', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM deletions), false)",
            "SELECT setval(pg_get_serial_sequence('deleted_manifests', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM deleted_manifests), false)",
            // An entry of the outbox, and an event, is told by its number, which must not come again.
            "SELECT setval(pg_get_serial_sequence('outbox', 'id'), (SELECT greatest(last_value, coalesce(max(o.id), 0)) + 1 FROM outbox_id_seq s LEFT JOIN outbox o ON true GROUP BY last_value), false)",
            "SELECT setval(pg_get_serial_sequence('events', 'id'), (SELECT greatest(last_value, coalesce(max(e.id), 0)) + 1 FROM events_id_seq s LEFT JOIN events e ON true GROUP BY last_value), false)",
            // As are a grant, a token and a line of the audit log.
            "SELECT setval(pg_get_serial_sequence('grants', 'id'), (SELECT greatest(last_value, coalesce(max(t.id), 0)) + 1 FROM grants_id_seq s LEFT JOIN grants t ON true GROUP BY last_value), false)",
            "SELECT setval(pg_get_serial_sequence('access_tokens', 'id'), (SELECT greatest(last_value, coalesce(max(t.id), 0)) + 1 FROM access_tokens_id_seq s LEFT JOIN access_tokens t ON true GROUP BY last_value), false)",
            "SELECT setval(pg_get_serial_sequence('logins', 'id'), (SELECT greatest(last_value, coalesce(max(t.id), 0)) + 1 FROM logins_id_seq s LEFT JOIN logins t ON true GROUP BY last_value), false)",
            "SELECT setval(pg_get_serial_sequence('signing_keys', 'number'), (SELECT greatest(last_value, coalesce(max(t.number), 0)) + 1 FROM signing_keys_number_seq s LEFT JOIN signing_keys t ON true GROUP BY last_value), false)",
            "SELECT setval(pg_get_serial_sequence('audit', 'id'), (SELECT greatest(last_value, coalesce(max(t.id), 0)) + 1 FROM audit_id_seq s LEFT JOIN audit t ON true GROUP BY last_value), false)",
            "ANALYZE repositories, blobs, repository_blobs, manifests, manifest_blobs, manifest_manifests, manifest_times, tags, accounts, grants, access_tokens, logins, refresh_tokens, audit",
        ] {
            self.execute(statement).await?;
        }
        Ok(())
    }

    async fn is_empty(&mut self) -> Result<bool, MetadataError> {
        self.session
            .query_scalar(
                "SELECT NOT EXISTS (SELECT 1 FROM repositories) AND NOT EXISTS (SELECT 1 FROM uploads)
            AND NOT EXISTS (SELECT 1 FROM accounts) AND NOT EXISTS (SELECT 1 FROM grants)",
            )
            .fetch_one(self.session.connection())
            .await
            .map_err(told)
    }

    async fn setting(&mut self, name: &'static str) -> Result<Option<String>, MetadataError> {
        self.session
            .query_scalar("SELECT value FROM settings WHERE name = $1")
            .bind(name)
            .fetch_optional(self.session.connection())
            .await
            .map_err(told)
    }

    async fn set(&mut self, name: &'static str, value: Option<&str>) -> Result<(), MetadataError> {
        let query = match value {
            Some(value) => self
                .session
                .query(
                    "INSERT INTO settings (name, value) VALUES ($1, $2)
                    ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                )
                .bind(name)
                .bind(value),
            None => self.session.query("DELETE FROM settings WHERE name = $1").bind(name),
        };
        query.execute(self.session.connection()).await.map(drop).map_err(told)
    }
}
