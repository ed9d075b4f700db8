use super::session::Session;
use crate::MetadataError;
use crate::fault::Fault;

/// A step of the schema.
pub(super) struct Step {
    sql: &'static str,
    /// The least schema that a build must know to work on the database after this step. A step
    /// that only adds leaves it as it was: builds of before and after the step then work side by
    /// side, and a step that takes something away comes when the former are gone.
    needs: i64,
}

/// The steps from an empty database to the present schema.
pub(super) const STEPS: &[Step] = &[
    Step { sql: include_str!("../../migrations/postgres/0001_names_and_graph.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/postgres/0002_lifecycle.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/postgres/0003_events.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/postgres/0004_deletions.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/postgres/0005_retention.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/postgres/0006_usage.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/postgres/0007_accounts.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/postgres/0008_mirror.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/postgres/0009_safety.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/postgres/0010_eviction.sql"), needs: 1 },
    Step { sql: include_str!("../../migrations/postgres/0011_misfits.sql"), needs: 1 },
];

/// Any number that others do not lock: "Brth".
const LOCK: i64 = 0x4272_7468;

/// Why a database cannot be brought to the present schema.
#[derive(Debug)]
pub(super) enum MigrationError {
    /// The tables are somebody else's.
    Foreign,
    /// Written by a version that this one cannot work beside.
    TooNew { found: i64, known: i64 },
    /// The server failed.
    Fault(Fault),
}

impl From<sqlx::Error> for MigrationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Fault(error.into())
    }
}

impl MigrationError {
    pub(super) fn explain(
        self,
        database: &str,
        explain: impl FnOnce(Fault) -> MetadataError,
    ) -> MetadataError {
        let database = database.to_owned();
        match self {
            Self::Foreign => MetadataError::Foreign { database },
            Self::TooNew { found, known } => MetadataError::TooNew { database, found, known },
            Self::Fault(fault) => explain(fault),
        }
    }
}

/// Brings the database to the present schema, all or nothing. Replicas that start at the same time
/// take turns.
pub(super) async fn migrate(session: &mut Session, steps: &[Step]) -> Result<(), MigrationError> {
    session.execute("BEGIN").await.map_err(MigrationError::Fault)?;
    let outcome = migrate_locked(session, steps).await;
    let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = session.execute(end).await;
    outcome?;
    ended.map_err(MigrationError::Fault)
}

async fn migrate_locked(session: &mut Session, steps: &[Step]) -> Result<(), MigrationError> {
    // Ends with the transaction, so that it works behind a pooler too.
    let lock = session.query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
    lock.execute(session.connection()).await?;
    let found = version(session).await?;
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    if found.needs > known {
        return Err(MigrationError::TooNew { found: found.version, known });
    }
    for (number, step) in (1i64..).zip(steps).skip_while(|(number, _)| *number <= found.version) {
        session.execute(step.sql).await.map_err(MigrationError::Fault)?;
        session
            .query("UPDATE berth_schema SET version = $1, needs = $2")
            .bind(number)
            .bind(step.needs)
            .execute(session.connection())
            .await?;
    }
    Ok(())
}

/// Whether the database has an older schema, which [`migrate`] would change. Changes nothing.
pub(super) async fn is_older(
    session: &mut Session,
    steps: &[Step],
) -> Result<bool, MigrationError> {
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    let found = found(session).await?;
    Ok(found.is_some_and(|found| found.version > 0 && found.version < known))
}

struct Version {
    version: i64,
    needs: i64,
}

/// The schema that the database has; an empty one is begun.
async fn version(session: &mut Session) -> Result<Version, MigrationError> {
    if let Some(found) = found(session).await? {
        return Ok(found);
    }
    let make = "CREATE TABLE berth_schema (version bigint NOT NULL, needs bigint NOT NULL);
        INSERT INTO berth_schema VALUES (0, 0)";
    session.execute(make).await.map_err(MigrationError::Fault)?;
    Ok(Version { version: 0, needs: 0 })
}

/// The schema that the database has; none at all in an empty one.
async fn found(session: &mut Session) -> Result<Option<Version>, MigrationError> {
    let (ours, tables): (bool, i64) = session
        .query_as(
            "SELECT to_regclass('berth_schema') IS NOT NULL,
                (SELECT count(*) FROM pg_tables WHERE schemaname = current_schema())",
        )
        .fetch_one(session.connection())
        .await?;
    if !ours && tables > 0 {
        return Err(MigrationError::Foreign);
    }
    if !ours {
        return Ok(None);
    }
    let (version, needs) = session
        .query_as("SELECT version, needs FROM berth_schema")
        .fetch_one(session.connection())
        .await?;
    Ok(Some(Version { version, needs }))
}
