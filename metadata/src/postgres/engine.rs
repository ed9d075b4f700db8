use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::connections::{Connections, Lease};
use super::events;
use super::explain::{Kind, kind};
use super::session::Session;
use crate::fault::Fault;
use crate::{Follower, NewEvent};

/// How often a change that the server undid because of another one is tried.
const TRIES: u32 = 8;

/// How long to let the other one go on before the second try.
const PAUSE: Duration = Duration::from_millis(5);

/// Reads and writes, each in the time that is allowed.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) connections: Connections,
    /// Names this process among those that share the database.
    pub(super) process: Uuid,
    pub(super) follower: Follower,
    pub(super) timeout: Duration,
    /// Told of every commit that recorded events.
    pub(super) events_filled: Notify,
}

/// Work on the database that can be done again from its beginning.
#[async_trait]
pub(super) trait Operation: Send + Sync + 'static {
    /// What the caller learns.
    type Output: Send + 'static;

    /// Whether a crash of the server may undo it although it was told to be done.
    const RELAXED: bool = false;

    /// Does the work, inside of a transaction. Answers that say no have changed nothing.
    async fn apply(&self, context: &mut Context<'_>) -> Result<Self::Output, Fault>;
}

/// What an operation works with.
pub(super) struct Context<'a> {
    pub(super) session: &'a mut Session,
    /// The process that does the work.
    pub(super) process: Uuid,
    /// Whether changes go into the outbox.
    pub(super) record_links: bool,
    /// Whether manifests have files.
    pub(super) has_files: bool,
    /// The events of the transaction, which are written at its end by one statement.
    pub(super) events: &'a mut Vec<NewEvent>,
}

impl Engine {
    /// Carries out a change, durable when this returns.
    pub(super) async fn write<O: Operation>(&self, operation: &O) -> Result<O::Output, Fault> {
        within(self.timeout, async {
            let mut tries = 1;
            loop {
                match self.try_to_write(operation).await {
                    Err(fault) if kind(&fault) == Kind::Conflict && tries < TRIES => {
                        sleep(PAUSE * tries).await;
                        tries += 1;
                    }
                    outcome => return outcome,
                }
            }
        })
        .await
    }

    async fn try_to_write<O: Operation>(&self, operation: &O) -> Result<O::Output, Fault> {
        let begin = match O::RELAXED {
            true => "BEGIN; SET LOCAL synchronous_commit = off",
            false => "BEGIN",
        };
        let mut lease = self.begin(begin).await?;
        let mut recorded = Vec::new();
        let events = &mut recorded;
        let mut context = Context {
            session: &mut lease,
            process: self.process,
            record_links: self.follower.is_told(),
            has_files: self.follower.has_files(),
            events,
        };
        let applied = match operation.apply(&mut context).await {
            Ok(output) if recorded.is_empty() => Ok(output),
            Ok(output) => events::insert(&mut lease, &recorded).await.map(|()| output),
            Err(fault) => Err(fault),
        };
        match applied {
            Ok(output) => {
                lease.execute("COMMIT").await?;
                lease.keep();
                if !recorded.is_empty() {
                    self.events_filled.notify_one();
                }
                Ok(output)
            }
            Err(fault) if kind(&fault) == Kind::Broken => {
                self.connections.forget_idle();
                Err(fault)
            }
            Err(fault) => {
                if lease.execute("ROLLBACK").await.is_ok() {
                    lease.keep();
                }
                Err(fault)
            }
        }
    }

    /// Begins a transaction, on another connection if the one at hand turns out to be dead.
    async fn begin(&self, begin: &'static str) -> Result<Lease<'_>, Fault> {
        loop {
            let mut lease = self.connections.acquire().await?;
            match lease.execute(begin).await {
                Ok(()) => return Ok(lease),
                Err(fault) if kind(&fault) == Kind::Broken && !lease.is_fresh() => {
                    self.connections.forget_idle();
                }
                Err(fault) => return Err(fault),
            }
        }
    }
}

/// Limits the time that `work` may take. What is not done by then is given up, and its connection
/// closed: the server undoes what was not committed.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    match timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Fault::Unavailable(format!("no answer within {limit:?}"))),
    }
}

/// Reads from a server: `read!(connections, subject::function(arguments…))`. What meets a
/// connection that has died since it was last used is done again on a new one.
macro_rules! read {
    ($connections:expr, $module:ident :: $function:ident ($($argument:expr),*)) => {
        async {
            loop {
                let mut lease = $connections.acquire().await?;
                let outcome = async {
                    lease.begin_read().await?;
                    let answer = $module::$function(&mut lease, $($argument),*).await?;
                    lease.end_read().await?;
                    Ok(answer)
                }
                .await;
                match outcome {
                    Ok(answer) => {
                        lease.keep();
                        return Ok(answer);
                    }
                    Err(fault)
                        if $crate::postgres::explain::kind(&fault)
                            == $crate::postgres::explain::Kind::Broken
                            && !lease.is_fresh() =>
                    {
                        $connections.forget_idle();
                    }
                    Err(fault) => return Err(fault),
                }
            }
        }
    };
}
pub(super) use read;
