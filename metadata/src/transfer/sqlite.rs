use std::path::PathBuf;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Row as _, Sqlite, SqliteConnection};

use super::side::Side;
use super::tables::{Kind, Row, Table, Value};
use crate::MetadataError;
use crate::fault::Fault;
use crate::sqlite::open::{self, ProcessLock};

/// The embedded database.
pub(super) struct SqliteSide {
    path: PathBuf,
    connection: SqliteConnection,
    /// A source may have the schema of a version before.
    schema: i64,
    /// Kept while the file is ours alone.
    lock: Option<ProcessLock>,
}

impl SqliteSide {
    /// Opens the file: a source as it is, for it may be in use; a target for this process alone, on
    /// the present schema.
    pub(super) async fn open(path: PathBuf, is_source: bool) -> Result<Self, MetadataError> {
        if is_source {
            let explain = |error: sqlx::Error| Fault::from(error).explain_opening(&path);
            let options = open::writer_options(&path).create_if_missing(false);
            let mut connection = options.connect().await.map_err(explain)?;
            let schema = schema(&mut connection).await.map_err(explain)?;
            return Ok(Self { path, connection, schema, lock: None });
        }
        let lock = Some(ProcessLock::take(&path)?);
        let mut connection = open::connect(&open::writer_options(&path), &path).await?;
        let schema = schema(&mut connection).await;
        let schema = schema.map_err(|error| Fault::from(error).explain(&path))?;
        Ok(Self { path, connection, schema, lock })
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), MetadataError> {
        let done = sqlx::raw_sql(sql).execute(&mut self.connection).await;
        done.map(drop).map_err(|error| self.explain(error))
    }

    fn explain(&self, error: sqlx::Error) -> MetadataError {
        Fault::from(error).explain(&self.path)
    }

    /// Runs statements for each of some rows, in one transaction.
    async fn for_each(
        &mut self,
        statements: &[String],
        rows: &[&[Value]],
    ) -> Result<(), MetadataError> {
        self.execute("BEGIN IMMEDIATE").await?;
        for row in rows {
            for statement in statements {
                let query = sqlx::query(AssertSqlSafe(statement.clone()));
                let query = row.iter().fold(query, bind);
                let done = query.execute(&mut self.connection).await;
                done.map_err(|error| self.explain(error))?;
            }
        }
        self.execute("COMMIT").await
    }
}

async fn schema(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT user_version FROM pragma_user_version").fetch_one(connection).await
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

fn bind<'q>(query: Query<'q>, value: &Value) -> Query<'q> {
    match value.clone() {
        Value::Null => query.bind(None::<i64>),
        Value::Integer(integer) => query.bind(integer),
        Value::Text(text) => query.bind(text),
        Value::Bytes(bytes) => query.bind(bytes),
    }
}

fn value(row: &SqliteRow, place: usize, kind: Kind) -> Result<Value, sqlx::Error> {
    Ok(match kind {
        Kind::Integer => row.try_get::<Option<_>, _>(place)?.map(Value::Integer),
        Kind::Text => row.try_get::<Option<_>, _>(place)?.map(Value::Text),
        Kind::Bytes => row.try_get::<Option<_>, _>(place)?.map(Value::Bytes),
    }
    .unwrap_or(Value::Null))
}

#[async_trait]
impl Side for SqliteSide {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn has(&self, table: &Table) -> bool {
        self.schema >= table.since
    }

    async fn hold_still(&mut self) -> Result<(), MetadataError> {
        self.execute("BEGIN").await
    }

    async fn let_go(&mut self) -> Result<(), MetadataError> {
        self.execute("COMMIT").await
    }

    async fn take(&mut self) -> Result<(), MetadataError> {
        if self.lock.is_none() {
            self.lock = Some(ProcessLock::take(&self.path)?);
            open::sync_log(&self.path)?;
        }
        Ok(())
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
        let rows = query.fetch_all(&mut self.connection).await;
        let rows = rows.map_err(|error| self.explain(error))?;
        let kinds = table.kinds(false);
        let row = |row: &SqliteRow| -> Result<Row, sqlx::Error> {
            kinds.iter().enumerate().map(|(place, kind)| value(row, place, *kind)).collect()
        };
        rows.iter().map(row).collect::<Result<_, _>>().map_err(|error| self.explain(error))
    }

    async fn payload(
        &mut self,
        table: &'static Table,
        key: &[Value],
    ) -> Result<Option<Vec<u8>>, MetadataError> {
        let Some(sql) = table.select_payload() else { return Ok(None) };
        let query = key.iter().fold(sqlx::query(AssertSqlSafe(sql)), bind);
        let row = query.fetch_optional(&mut self.connection).await;
        let payload = row.and_then(|row| row.map(|row| row.try_get(0)).transpose());
        payload.map_err(|error| self.explain(error))
    }

    async fn write(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<(), MetadataError> {
        if rows.is_empty() {
            return Ok(());
        }
        let marks: Vec<String> =
            (1..=table.kinds(true).len()).map(|place| format!("${place}")).collect();
        let statement = table.upsert(&format!("VALUES ({})", marks.join(", ")));
        let rows: Vec<&[Value]> = rows.iter().map(Vec::as_slice).collect();
        self.for_each(&[statement], &rows).await
    }

    async fn delete(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<(), MetadataError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut statements = table.delete_dependents();
        statements.push(table.delete());
        let keys: Vec<&[Value]> = rows.iter().map(|row| table.key_of(row)).collect();
        self.for_each(&statements, &keys).await
    }

    async fn settle(&mut self) -> Result<(), MetadataError> {
        Ok(())
    }

    async fn is_empty(&mut self) -> Result<bool, MetadataError> {
        let row = sqlx::query_as(
            "SELECT NOT EXISTS (SELECT 1 FROM repositories) AND NOT EXISTS (SELECT 1 FROM uploads)
            AND NOT EXISTS (SELECT 1 FROM accounts) AND NOT EXISTS (SELECT 1 FROM grants)",
        );
        let (is_empty,) =
            row.fetch_one(&mut self.connection).await.map_err(|error| self.explain(error))?;
        Ok(is_empty)
    }

    async fn setting(&mut self, name: &'static str) -> Result<Option<String>, MetadataError> {
        // A source of before has no settings yet.
        let there = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = 'settings'")
            .fetch_optional(&mut self.connection)
            .await
            .map_err(|error| self.explain(error))?;
        if there.is_none() {
            return Ok(None);
        }
        let value = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1").bind(name);
        value.fetch_optional(&mut self.connection).await.map_err(|error| self.explain(error))
    }

    async fn set(&mut self, name: &'static str, value: Option<&str>) -> Result<(), MetadataError> {
        let query = match value {
            Some(value) => sqlx::query(
                "INSERT INTO settings (name, value) VALUES ($1, $2)
                ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(name)
            .bind(value),
            None => sqlx::query("DELETE FROM settings WHERE name = $1").bind(name),
        };
        let done = query.execute(&mut self.connection).await;
        done.map(drop).map_err(|error| self.explain(error))
    }
}
