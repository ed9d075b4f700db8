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
        "the database {path} is damaged ({reason}); restore it from a backup, or move it away and let it be rebuilt from the storage tree"
    )]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// The database was written by a newer version.
    #[error(
        "the database {path} was written by a newer version of berth (schema {found}, this version knows {known}); run that version"
    )]
    TooNew {
        /// The database file.
        path: PathBuf,
        /// The schema version found.
        found: i64,
        /// The newest schema version that this build knows.
        known: i64,
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
