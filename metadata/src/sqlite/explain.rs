use std::path::Path;

use crate::MetadataError;
use crate::fault::Fault;

impl Fault {
    /// The outcome that a caller of the open store sees.
    pub(crate) fn explain(self, path: &Path) -> MetadataError {
        let error = match self {
            Self::Malformed(what) => return MetadataError::Malformed { what },
            Self::Closed => return MetadataError::Closed,
            // The other engine's, and told where it is met.
            Self::PlaceUnsure => return MetadataError::Malformed { what: "place" },
            Self::TagStays(_) => return MetadataError::Malformed { what: "tag" },
            Self::Unavailable(reason) => return MetadataError::Unavailable { reason },
            Self::Sql(error) => error,
        };
        let reason = error.to_string();
        match result_code(&error) {
            Some(SQLITE_FULL | SQLITE_IOERR_SHMSIZE) => MetadataError::NoSpace,
            Some(code) => match code & 0xff {
                SQLITE_READONLY => MetadataError::ReadOnly { reason },
                SQLITE_CORRUPT | SQLITE_NOTADB => {
                    MetadataError::Damaged { path: path.to_owned(), reason }
                }
                SQLITE_CANTOPEN => MetadataError::Open { path: path.to_owned(), reason },
                _ => MetadataError::Database(reason),
            },
            None => MetadataError::Database(reason),
        }
    }

    /// The outcome while the store is being opened: what is in the way then is the file.
    pub(crate) fn explain_opening(self, path: &Path) -> MetadataError {
        if let Self::Sql(error) = &self
            && result_code(error).is_some_and(|code| code & 0xff == SQLITE_BUSY)
        {
            return MetadataError::InUse { path: path.to_owned() };
        }
        match self.explain(path) {
            MetadataError::Database(reason) => {
                MetadataError::Open { path: path.to_owned(), reason }
            }
            error => error,
        }
    }
}

/// SQLite's extended result code. The lowest byte is the primary one.
/// <https://www.sqlite.org/rescode.html>
fn result_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

const SQLITE_BUSY: i32 = 5;
const SQLITE_READONLY: i32 = 8;
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_FULL: i32 = 13;
const SQLITE_CANTOPEN: i32 = 14;
const SQLITE_NOTADB: i32 = 26;
/// The file of the WAL index cannot grow: told apart from other I/O errors, and always for want
/// of space.
const SQLITE_IOERR_SHMSIZE: i32 = 10 | (19 << 8);
