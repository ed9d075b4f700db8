use sqlx::{Connection, SqliteConnection};

use crate::fault::Fault;

/// A step of the schema.
struct Step {
    sql: &'static str,
    /// The least schema that a build must know to work on the file after this step. A step that only
    /// adds leaves it as it was, so that an older build can still be gone back to.
    needs: i64,
}

/// The steps from an empty file to the present schema. A file's `user_version` counts those done.
const STEPS: &[Step] = &[
    Step { sql: include_str!("../../migrations/sqlite/0001_names_and_graph.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/sqlite/0002_blobs_by_location.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/sqlite/0003_settings.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/sqlite/0004_lifecycle.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/sqlite/0005_events.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/sqlite/0006_deletions.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/sqlite/0007_retention.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/sqlite/0008_usage.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/sqlite/0009_accounts.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/sqlite/0010_mirror.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/sqlite/0011_safety.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/sqlite/0012_eviction.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/sqlite/0013_misfits.sql"), needs: 1 },
];

/// The step that makes the table which tells what the file needs.
const SETTINGS: i64 = 3;

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

/// The present schema.
pub(crate) fn schema() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
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
    let known = schema();
    if application_id != APPLICATION_ID && (found, tables) != (0, 0) {
        return Err(MigrationError::Foreign);
    }
    if found > known && needs(connection).await?.is_none_or(|needs| needs > known) {
        return Err(MigrationError::TooNew { found, known });
    }
    for (number, step) in (1i64..).zip(STEPS).skip_while(|(number, _)| *number <= found) {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(step.sql).execute(&mut *transaction).await?;
        let stamp =
            format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number}");
        // Pragmas take no parameters; both values are our own numbers.
        sqlx::raw_sql(sqlx::AssertSqlSafe(stamp)).execute(&mut *transaction).await?;
        if number >= SETTINGS {
            sqlx::query(
                "INSERT INTO settings (name, value) VALUES ('needs', $1)
                ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(step.needs.to_string())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
    }
    Ok(())
}

/// The least schema that a build must know to work on a file that a newer one has written.
async fn needs(connection: &mut SqliteConnection) -> Result<Option<i64>, MigrationError> {
    let needs: Option<String> =
        sqlx::query_scalar("SELECT value FROM settings WHERE name = 'needs'")
            .fetch_optional(connection)
            .await?;
    Ok(needs.and_then(|needs| needs.parse().ok()))
}
