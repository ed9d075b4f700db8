use sqlx::{Connection, SqliteConnection};

use crate::fault::Fault;

/// The steps from an empty file to the present schema. A file's `user_version` counts those done.
const STEPS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_names_and_graph.sql"),
    include_str!("../../migrations/sqlite/0002_blobs_by_location.sql"),
    include_str!("../../migrations/sqlite/0003_settings.sql"),
];

/// Marks the file as ours, in the place that SQLite keeps for this: "Brth".
const APPLICATION_ID: i64 = 0x4272_7468;

/// Why a file cannot be brought to the present schema.
#[derive(Debug)]
pub(super) enum MigrationError {
    /// The tables are somebody else's.
    Foreign,
    /// Written by a newer version.
    TooNew { found: i64, known: i64 },
    /// SQLite failed.
    Fault(Fault),
}

impl From<sqlx::Error> for MigrationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Fault(error.into())
    }
}

/// Brings the file to the present schema, each step all or nothing.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), MigrationError> {
    let (found, application_id, tables): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT user_version FROM pragma_user_version),
                (SELECT application_id FROM pragma_application_id),
                (SELECT count(*) FROM sqlite_schema)",
    )
    .fetch_one(&mut *connection)
    .await?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if application_id != APPLICATION_ID && (found, tables) != (0, 0) {
        return Err(MigrationError::Foreign);
    }
    if found > known {
        return Err(MigrationError::TooNew { found, known });
    }
    for (number, step) in (1i64..).zip(STEPS).skip_while(|(number, _)| *number <= found) {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(*step).execute(&mut *transaction).await?;
        let stamp =
            format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number}");
        // Pragmas take no parameters; both values are our own numbers.
        sqlx::raw_sql(sqlx::AssertSqlSafe(stamp)).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}
