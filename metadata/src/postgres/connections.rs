use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::Connection;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::options::Pooling;
use super::servers::Servers;
use super::session::Session;
use crate::fault::Fault;

/// A few connections to the server, shared.
///
/// Like those of the embedded store: sqlx's own pool asks the server after each use whether the
/// connection still stands, which costs as much as the use.
pub(super) struct Connections {
    servers: Servers,
    idle: Mutex<Vec<Session>>,
    permits: Semaphore,
    size: u32,
}

/// A connection for as long as this lives. It is closed at the end, in the middle of whatever it
/// was at, unless [`keep`](Lease::keep) says that it is at rest.
pub(super) struct Lease<'a> {
    session: Option<Session>,
    /// Whether it was opened for this lease.
    fresh: bool,
    pool: &'a Connections,
    _permit: SemaphorePermit<'a>,
}

impl Connections {
    /// Up to `size` connections, opened when they are needed.
    pub(super) fn new(servers: Servers, size: u32) -> Self {
        let permits = Semaphore::new(usize::try_from(size).unwrap_or(Semaphore::MAX_PERMITS));
        Self { servers, idle: Mutex::default(), permits, size }
    }

    /// Waits for a connection, the one that was used last where there is a choice.
    pub(super) async fn acquire(&self) -> Result<Lease<'_>, Fault> {
        let permit = self.permits.acquire().await.map_err(|_| Fault::Closed)?;
        let idle = self.idle().pop();
        let (session, fresh) = match idle {
            Some(session) => (session, false),
            None => (self.servers.connect().await?, true),
        };
        Ok(Lease { session: Some(session), fresh, pool: self, _permit: permit })
    }

    /// Drops the connections that nobody uses: one of them has turned out to be dead.
    pub(super) fn forget_idle(&self) {
        self.idle().clear();
    }

    /// Waits for all leases to end and closes the connections. Later calls of `acquire` fail.
    pub(super) async fn close(&self) {
        let all = self.permits.acquire_many(self.size).await;
        self.permits.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle());
        for session in idle {
            // The server lets go of it in any case.
            let _ = session.into_connection().close().await;
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Begins a read. Where a pooler hands out connections by transaction it has to be one.
    pub(super) async fn begin_read(&mut self) -> Result<(), Fault> {
        match self.pool.servers.pooling() {
            Pooling::Session => Ok(()),
            Pooling::Transaction => self.execute("BEGIN READ ONLY").await,
        }
    }

    pub(super) async fn end_read(&mut self) -> Result<(), Fault> {
        match self.pool.servers.pooling() {
            Pooling::Session => Ok(()),
            Pooling::Transaction => self.execute("COMMIT").await,
        }
    }

    /// Gives the connection back: it is in no transaction, and no answer is on its way.
    pub(super) fn keep(mut self) {
        self.pool.idle().extend(self.session.take());
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("servers", &self.servers).finish_non_exhaustive()
    }
}

// The connection is there until `keep` consumes the lease.
#[allow(clippy::expect_used)]
impl Deref for Lease<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("a lease has a connection")
    }
}

// As above.
#[allow(clippy::expect_used)]
impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("a lease has a connection")
    }
}
