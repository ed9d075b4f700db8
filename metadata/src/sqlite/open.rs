use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

use super::migrations::{MigrationError, migrate};
use crate::fault::Fault;
use crate::{Follower, MetadataError};

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqliteLocation {
    /// In this file, made when it is missing; its directory has to exist. Beside it stand
    /// `<file>-wal` and `<file>-shm`, which belong to it, and `<file>.lock`.
    File(PathBuf),
    /// In memory, gone with the store.
    Memory,
}

/// How to open a [`SqliteStore`](crate::SqliteStore).
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// Where the database is.
    pub location: SqliteLocation,
    /// The most connections that read at the same time, at least 1. Each costs a thread and up to
    /// 1 MiB once it is needed. In memory there is one connection for everything.
    pub readers: u32,
    /// The most memory that the cache of manifests and blobs takes, in bytes; 0 for no cache.
    pub cache_bytes: u64,
    /// What beside the database is told of changes (see
    /// [`MetadataStore::outbox`](crate::MetadataStore::outbox)).
    pub follower: Follower,
}

impl SqliteOptions {
    /// The defaults: 4 readers, a cache of 64 MiB, no record of changes.
    pub fn new(location: SqliteLocation) -> Self {
        Self { location, readers: 4, cache_bytes: 64 * 1024 * 1024, follower: Follower::None }
    }
}

/// How long a connection waits for a lock that a hand in the database holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What the file of the write-ahead log is cut to once it has been copied into the database.
const WAL_SIZE_LIMIT: &str = "33554432";

/// Cached pages of the writer and of one reader; SQLite reads a negative number as KiB.
const WRITER_CACHE: &str = "-8192";
const READER_CACHE: &str = "-4096";

/// Holds the database for this process; the system lets go of it when the process dies.
#[derive(Debug)]
pub(crate) struct ProcessLock {
    _file: File,
}

impl ProcessLock {
    /// Takes the lock that belongs to the database at `path`.
    pub(crate) fn take(path: &Path) -> Result<Self, MetadataError> {
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|error| unopened(path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(MetadataError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(unopened(path, error)),
        }
    }
}

fn unopened(path: &Path, error: io::Error) -> MetadataError {
    let reason = error.to_string();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => MetadataError::NoSpace,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            MetadataError::ReadOnly { reason }
        }
        _ => MetadataError::Open { path: path.to_owned(), reason },
    }
}

/// Opens the writing connection, on the present schema.
pub(crate) async fn connect(
    options: &SqliteConnectOptions,
    path: &Path,
) -> Result<SqliteConnection, MetadataError> {
    let explain = |fault: Fault| fault.explain_opening(path);
    let mut connection =
        super::connect::connect(options).await.map_err(|error| explain(error.into()))?;
    migrate(&mut connection).await.map_err(|error| match error {
        MigrationError::Foreign => MetadataError::Damaged {
            path: path.to_owned(),
            reason: "it holds the tables of another program".to_owned(),
        },
        MigrationError::TooNew { found, known } => {
            MetadataError::TooNew { database: path.display().to_string(), found, known }
        }
        MigrationError::Fault(fault) => explain(fault),
    })?;
    // SQLite opens a file that it may not write for reading alone, and says so at the first write.
    let writable = sqlx::raw_sql("BEGIN IMMEDIATE; ROLLBACK").execute(&mut connection).await;
    writable.map_err(|error| explain(error.into()))?;
    Ok(connection)
}

/// Refuses a database that says of itself that it is not to be served.
pub(crate) async fn refuse_closed(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<(), MetadataError> {
    let reason = sqlx::query_scalar("SELECT value FROM settings WHERE name = 'closed'")
        .fetch_optional(connection)
        .await
        .map_err(|error| Fault::from(error).explain_opening(path))?;
    match reason {
        Some(reason) => {
            Err(MetadataError::ClosedForUse { database: path.display().to_string(), reason })
        }
        None => Ok(()),
    }
}

/// Makes what a killed process had written to the log durable.
///
/// Such frames are read as committed from now on, and a push that finds its manifest among them
/// writes nothing more before it is acknowledged.
pub(crate) fn sync_log(path: &Path) -> Result<(), MetadataError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match File::open(&log) {
        Ok(file) => file.sync_all().map_err(|error| unopened(path, error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unopened(path, error)),
    }
}

pub(crate) fn memory_options() -> SqliteConnectOptions {
    SqliteConnectOptions::new().in_memory(true).foreign_keys(true).disable_statement_logging()
}

pub(crate) fn writer_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .busy_timeout(BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("journal_size_limit", WAL_SIZE_LIMIT)
        .pragma("cache_size", WRITER_CACHE)
        .thread_name(|_| "metadata-write".to_owned())
        .disable_statement_logging()
}

/// To look at a file as it is: nothing is set that it keeps.
pub(crate) fn plain_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}

pub(crate) fn reader_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("cache_size", READER_CACHE)
        .thread_name(|_| "metadata-read".to_owned())
        .disable_statement_logging()
}
