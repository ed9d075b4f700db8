use std::path::PathBuf;

use thiserror::Error;

/// Why the metadata store could not answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// Another process has the database.
    #[error(
        "the database {path} is in use by another process; one berth serves one data directory: stop the other one, or give this one a directory of its own"
    )]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// The file is not a database, or is damaged.
    #[error(
        "the database {path} is damaged ({reason}); restore it from a backup, or move it away and run `berth reindex`"
    )]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// The database was written by a newer version.
    #[error(
        "the database {database} was written by a newer version of berth (schema {found}, this version knows {known}); run that version"
    )]
    TooNew {
        /// The database.
        database: String,
        /// The schema version found.
        found: i64,
        /// The newest schema version that this build knows.
        known: i64,
    },
    /// The database's server cannot be reached, or does not let us in.
    #[error("the database {database} cannot be used: {reason}")]
    Connect {
        /// The database.
        database: String,
        /// What the server said, and what to look at.
        reason: String,
    },
    /// The database's server is older than what Berth is tested with.
    #[error(
        "the server of the database {database} is PostgreSQL {found}; berth needs {least} or newer"
    )]
    ServerTooOld {
        /// The database.
        database: String,
        /// The server's major version.
        found: u32,
        /// The oldest major version that will do.
        least: u32,
    },
    /// The tables are those of another program.
    #[error(
        "the database {database} holds tables of another program; give berth a database of its own"
    )]
    Foreign {
        /// The database.
        database: String,
    },
    /// The database says of itself that it is not to be served.
    #[error("the database {database} is not in use: {reason}")]
    ClosedForUse {
        /// The database.
        database: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A database that another one shall be copied into holds data of its own.
    #[error(
        "the database {database} holds data already, which would be overwritten; give the name of an empty one"
    )]
    NotEmpty {
        /// The database.
        database: String,
    },
    /// A copy is not the same as what it was made from.
    #[error("the copy differs in row {row} of {table}: {what}; run the same command again")]
    Differs {
        /// The table.
        table: &'static str,
        /// The place of the row in the order of the keys, from 0.
        row: u64,
        /// What is not the same.
        what: &'static str,
    },
    /// The database tells of blobs in another place than the configuration.
    #[error(
        "the database belongs to the blobs in {recorded}, but the configuration names {configured}; all replicas of one database need the same storage: correct the configuration, or, if the blobs have moved, run `berth metadata relocate`"
    )]
    OtherStorage {
        /// Where the database's blobs are.
        recorded: String,
        /// Where this replica would look for them.
        configured: String,
    },
    /// The database's server does not answer, or cannot write for the moment.
    #[error("the database does not answer ({reason}); try again later")]
    Unavailable {
        /// What happened.
        reason: String,
    },
    /// No room for the write. What was acknowledged before is untouched.
    #[error("no space is left for the database; free space on its disk and try again")]
    NoSpace,
    /// The file or its directory cannot be written.
    #[error(
        "the database cannot be written ({reason}); check the permissions and mount options of its directory"
    )]
    ReadOnly {
        /// What SQLite said.
        reason: String,
    },
    /// The file or its directory cannot be opened.
    #[error("the database {path} cannot be opened: {reason}")]
    Open {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The store is shutting down.
    #[error("the metadata store is closed")]
    Closed,
    /// A stored value cannot be read back: a bug, or a hand in the database.
    #[error("the database holds a malformed {what}")]
    Malformed {
        /// What was being read.
        what: &'static str,
    },
    /// Anything else that the database said.
    #[error("the database failed: {0}")]
    Database(String),
}
