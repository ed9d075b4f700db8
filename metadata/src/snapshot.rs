//! A copy of a database as it is at one moment, while it is in use.

use std::path::Path;

use sqlx::{ConnectOptions, Connection as _};

use crate::fault::Fault;
use crate::sqlite::open::{self, ProcessLock};
use crate::transfer::{Endpoint, Transfer};
use crate::{MetadataError, postgres, sqlite};

/// Writes a database as it is now into a file, which must not be there yet: an embedded database, whatever
/// the source is. The source may be in use, and is held up by nothing; its schema stays what it is. The file is
/// not synced.
///
/// # Errors
/// Those of the databases.
pub async fn snapshot(source: Endpoint, to: &Path) -> Result<(), MetadataError> {
    match &source {
        Endpoint::Sqlite(path) => {
            let explain = |error: sqlx::Error| Fault::from(error).explain(path);
            let options = open::writer_options(path).create_if_missing(false);
            let mut connection = options.connect().await.map_err(explain)?;
            let copied = sqlx::query("VACUUM INTO $1")
                .bind(to.to_string_lossy().into_owned())
                .execute(&mut connection)
                .await;
            copied.map(drop).map_err(explain)
        }
        Endpoint::Postgres(_) => {
            let mut transfer = Transfer::open(source, Endpoint::Sqlite(to.to_owned())).await?;
            transfer.pass().await?;
            transfer.finish_copy().await?;
            drop(transfer);
            settle(to).await
        }
    }
}

/// Whether a database has an older schema, which opening it would change.
///
/// # Errors
/// Those of opening it.
pub async fn would_migrate(database: &Endpoint) -> Result<bool, MetadataError> {
    match database {
        Endpoint::Sqlite(path) => would_migrate_file(path).await,
        Endpoint::Postgres(options) => postgres::would_migrate(options).await,
    }
}

async fn would_migrate_file(path: &Path) -> Result<bool, MetadataError> {
    if !path.exists() {
        return Ok(false);
    }
    let explain = |error: sqlx::Error| Fault::from(error).explain_opening(path);
    // What a process that died has left may have to be undone first, which a reader cannot.
    let mut connection = open::plain_options(path).connect().await.map_err(explain)?;
    let found: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut connection)
        .await
        .map_err(explain)?;
    Ok(found > 0 && found < sqlite::schema())
}

/// Puts a file that [`snapshot`] made into the place of an embedded database. What the snapshot had still to
/// tell the storage tree is forgotten: the tree has gone on since.
///
/// # Errors
/// [`MetadataError::InUse`] while a registry works with the database, [`MetadataError::NotEmpty`] when there is
/// one already.
pub async fn restore(snapshot: &Path, to: &Path) -> Result<(), MetadataError> {
    let _lock = ProcessLock::take(to)?;
    if to.exists() {
        return Err(MetadataError::NotEmpty { database: to.display().to_string() });
    }
    let explain = |error: sqlx::Error| Fault::from(error).explain_opening(snapshot);
    let mut connection = open::plain_options(snapshot).connect().await.map_err(explain)?;
    sqlx::query("DELETE FROM outbox").execute(&mut connection).await.map_err(explain)?;
    connection.close().await.map_err(explain)?;
    settle(snapshot).await?;
    let placed = std::fs::rename(snapshot, to).and_then(|()| {
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    });
    placed.map_err(|error| MetadataError::Open { path: to.to_owned(), reason: error.to_string() })
}

/// Brings all of a database back into one file, whatever its journal was.
async fn settle(path: &Path) -> Result<(), MetadataError> {
    let explain = |error: sqlx::Error| Fault::from(error).explain_opening(path);
    let mut connection = open::plain_options(path).connect().await.map_err(explain)?;
    let settle = "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE";
    sqlx::raw_sql(settle).execute(&mut connection).await.map_err(explain)?;
    connection.close().await.map_err(explain)?;
    // Nobody works with it any longer.
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    match std::fs::remove_file(&lock) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(MetadataError::Open { path: path.to_owned(), reason: error.to_string() })
        }
        _ => Ok(()),
    }
}
