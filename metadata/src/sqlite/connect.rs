//! A connection that plans each statement once.
#![allow(unsafe_code)]

use libsqlite3_sys::{SQLITE_DBCONFIG_ENABLE_QPSG, SQLITE_OK, sqlite3_db_config};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

/// Opens a connection.
///
/// By itself SQLite looks at a bound `LIMIT` when it plans a statement, and so plans it anew whenever
/// something is bound to it, which costs more than the reading of a page of names. Its "query planner
/// stability guarantee" has it plan without that.
pub(super) async fn connect(options: &SqliteConnectOptions) -> sqlx::Result<SqliteConnection> {
    let mut connection = options.connect().await?;
    let mut handle = connection.lock_handle().await?;
    let database = handle.as_raw_handle().as_ptr();
    // SAFETY: the handle is locked, so that the database is open and nobody else uses it. This option
    // takes a number, and a place for an answer, which may be null.
    let set = unsafe {
        sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_QPSG, 1, std::ptr::null_mut::<i32>())
    };
    drop(handle);
    if set != SQLITE_OK {
        tracing::warn!(code = set, "SQLite plans its statements anew all the time");
    }
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use libsqlite3_sys::{SQLITE_STMTSTATUS_REPREPARE, sqlite3_next_stmt, sqlite3_stmt_status};

    use super::*;
    use crate::sqlite::open::memory_options;

    /// How often the statements that a connection keeps were planned anew.
    async fn replanned(connection: &mut SqliteConnection) -> i32 {
        let mut handle = connection.lock_handle().await.unwrap();
        let database = handle.as_raw_handle().as_ptr();
        let mut statement = std::ptr::null_mut();
        let mut count = 0;
        loop {
            // SAFETY: the database is open and locked, and the statement before is one of its own.
            statement = unsafe { sqlite3_next_stmt(database, statement) };
            if statement.is_null() {
                return count;
            }
            // SAFETY: the statement is one that the database has just given.
            count += unsafe { sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_REPREPARE, 0) };
        }
    }

    #[tokio::test]
    async fn a_statement_with_a_limit_is_planned_once() {
        let mut connection = connect(&memory_options()).await.unwrap();
        sqlx::query("CREATE TABLE t (a INTEGER)").execute(&mut connection).await.unwrap();
        for limit in 1..10_i64 {
            let query = sqlx::query("SELECT a FROM t WHERE a > $1 ORDER BY a LIMIT $2");
            query.bind(limit).bind(limit).fetch_all(&mut connection).await.unwrap();
        }
        assert_eq!(replanned(&mut connection).await, 0);
    }
}
