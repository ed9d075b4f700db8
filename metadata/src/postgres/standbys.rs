use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::connections::Connections;
use super::engine::read;
use super::lookups::Lookups;
use super::options::PostgresOptions;
use super::servers::{Role, Servers};
use super::session::Session;
use crate::MetadataError;
use crate::fault::Fault;

/// How often a standby is asked whether it has caught up.
const POLL: Duration = Duration::from_millis(2);

/// The most time that a standby may take to answer.
const ANSWER: Duration = Duration::from_millis(500);

/// How long a standby that did not answer is left alone.
const AWAY: Duration = Duration::from_secs(10);

/// Read replicas.
///
/// A listing is taken from one that has everything which was committed on the primary when the
/// listing was asked for, so whoever has just written, through whichever process, finds it there.
/// How far the primary has come costs it one small statement, shared by all who ask at that time.
#[derive(Debug)]
pub(super) struct Standbys {
    servers: Vec<Standby>,
    positions: Lookups<(), String>,
    wait: Duration,
    next: AtomicUsize,
}

#[derive(Debug)]
struct Standby {
    connections: Connections,
    /// Until when it is not asked.
    away: Mutex<Option<Instant>>,
}

impl Standby {
    fn is_away(&self) -> bool {
        self.away().is_some_and(|until| Instant::now() < until)
    }

    fn leave_alone(&self) {
        *self.away() = Some(Instant::now() + AWAY);
    }

    fn away(&self) -> MutexGuard<'_, Option<Instant>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standbys {
    pub(super) fn new(options: &PostgresOptions) -> Result<Self, MetadataError> {
        let servers = options
            .standbys
            .iter()
            .map(|url| {
                let servers = Servers::new(url, Role::Standby, options)?;
                let connections = Connections::new(servers, options.connections);
                Ok(Standby { connections, away: Mutex::new(None) })
            })
            .collect::<Result<Vec<_>, MetadataError>>()?;
        let (positions, next) = (Lookups::new(), AtomicUsize::new(0));
        Ok(Self { servers, positions, wait: options.standby_wait, next })
    }

    /// A standby that has all that is committed on the primary by now; `None` when there is none,
    /// or it does not catch up soon enough, or does not answer.
    pub(super) async fn caught_up(&self, primary: &Connections) -> Option<&Connections> {
        if self.servers.is_empty() {
            return None;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.servers.len();
        let standby = self.servers.get(turn).filter(|standby| !standby.is_away())?;
        let asked = self.follows(primary, &standby.connections);
        match tokio::time::timeout(self.wait + ANSWER, asked).await {
            Ok(Ok(true)) => Some(&standby.connections),
            Ok(Ok(false)) => None,
            Ok(Err(fault)) => {
                tracing::warn!(?fault, "a standby of the database cannot be asked");
                standby.leave_alone();
                None
            }
            Err(_) => {
                tracing::warn!("a standby of the database does not answer");
                standby.leave_alone();
                None
            }
        }
    }

    async fn follows(&self, primary: &Connections, standby: &Connections) -> Result<bool, Fault> {
        let ask = |keys: Vec<()>| async move {
            let position = read!(primary, self::position()).await?;
            Ok(vec![position; keys.len()])
        };
        let position = self.positions.find((), ask).await?;
        let deadline = Instant::now() + self.wait;
        while !read!(standby, self::has_replayed(&position)).await? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            sleep(POLL).await;
        }
        Ok(true)
    }

    pub(super) async fn close(&self) {
        for server in &self.servers {
            server.connections.close().await;
        }
    }
}

/// How far the primary's log has come.
async fn position(session: &mut Session) -> Result<String, Fault> {
    let position = session
        .query_scalar("SELECT pg_current_wal_lsn()::text")
        .fetch_one(session.connection())
        .await?;
    Ok(position)
}

/// Whether a standby has come as far. One that follows nobody any longer has not.
async fn has_replayed(session: &mut Session, position: &str) -> Result<bool, Fault> {
    let has = session
        .query_scalar(
            "SELECT pg_is_in_recovery() AND coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)",
        )
        .bind(position)
        .fetch_one(session.connection())
        .await?;
    Ok(has)
}
