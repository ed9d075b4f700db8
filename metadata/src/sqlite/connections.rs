use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::connect::connect;
use crate::fault::Fault;

/// A few connections, shared.
///
/// sqlx's own pool pings a connection each time it comes back and spawns a task to do so; a local
/// file needs neither, and both cost more than the query between them.
pub(super) struct Connections {
    options: SqliteConnectOptions,
    idle: Mutex<Vec<SqliteConnection>>,
    permits: Semaphore,
    size: u32,
}

/// A connection for as long as this lives.
///
/// A lease that is dropped in the middle of a statement is harmless: the connection's thread ends
/// the statement before it takes up the next one.
pub(super) struct Lease<'a> {
    connection: Option<SqliteConnection>,
    pool: &'a Connections,
    _permit: SemaphorePermit<'a>,
}

impl Connections {
    /// Up to `size` connections: `first`, and others opened when they are needed.
    pub(super) fn new(first: SqliteConnection, options: SqliteConnectOptions, size: u32) -> Self {
        let size = size.max(1);
        Self {
            options,
            idle: Mutex::new(vec![first]),
            permits: Semaphore::new(usize::try_from(size).unwrap_or(Semaphore::MAX_PERMITS)),
            size,
        }
    }

    /// Waits for a connection.
    pub(super) async fn acquire(&self) -> Result<Lease<'_>, Fault> {
        let permit = self.permits.acquire().await.map_err(|_| Fault::Closed)?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.options).await?,
        };
        Ok(Lease { connection: Some(connection), pool: self, _permit: permit })
    }

    /// Waits for all leases to end and closes the connections. Later calls of `acquire` fail.
    pub(super) async fn close(&self) {
        let all = self.permits.acquire_many(self.size).await;
        self.permits.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "a database connection did not close cleanly");
            }
        }
    }

    /// Whether `close` has come so far that nothing can be acquired.
    pub(super) fn is_closed(&self) -> bool {
        self.permits.is_closed()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("size", &self.size).finish_non_exhaustive()
    }
}

// The connection is there until the lease is dropped.
#[allow(clippy::expect_used)]
impl Deref for Lease<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.connection.as_ref().expect("a lease has a connection")
    }
}

// As above.
#[allow(clippy::expect_used)]
impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect("a lease has a connection")
    }
}

impl Drop for Lease<'_> {
    /// Runs before the permit is given back, so whoever gets it finds the connection.
    fn drop(&mut self) {
        self.pool.idle().extend(self.connection.take());
    }
}
