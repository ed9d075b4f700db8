use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use std::{io, slice, thread};

use async_trait::async_trait;
use sqlx::SqliteConnection;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::cache::Cache;
use super::connections::Connections;
use super::events;
use super::open::ProcessLock;
use crate::encoding::micros;
use crate::fault::Fault;
use crate::{Follower, MetadataError, NewEvent};

/// The most operations that one transaction takes.
const BATCH: usize = 256;

/// The most operations that wait for the next transactions; callers behind them wait to queue.
const QUEUE: usize = 1024;

/// A change to the database.
#[async_trait]
pub(super) trait Operation: Send + Sync + 'static {
    /// What the caller learns.
    type Output: Send + Sync + 'static;

    /// Whether a power cut may undo it.
    const RELAXED: bool = false;

    /// Looks first and changes after, so that an answer that says no has changed nothing.
    ///
    /// May run twice: when another operation of its transaction fails, all is rolled back and
    /// each is applied again on its own.
    async fn apply(&self, context: &mut Context<'_>) -> Result<Self::Output, Fault>;

    /// Drops from the cache what the change made stale. It is committed, but not yet known to
    /// anybody.
    fn invalidate(&self, _output: &Self::Output, _cache: &Cache) {}
}

/// What an operation works with.
pub(super) struct Context<'a> {
    /// The connection, inside of a transaction.
    pub(super) connection: &'a mut SqliteConnection,
    /// The time of the change, in microseconds.
    pub(super) now: i64,
    /// Whether the change goes into the outbox.
    pub(super) record_links: bool,
    /// Whether manifests have files.
    pub(super) has_files: bool,
    /// The events of the transaction, which are written at its end by one statement.
    pub(super) events: &'a mut Vec<NewEvent>,
}

/// The one place that writes.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` once the store is closed.
    queue: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    /// Ends with the thread.
    running: watch::Receiver<()>,
}

/// What the writing thread needs, and keeps alive until the last change is committed.
pub(super) struct WriterState {
    pub(super) connections: Arc<Connections>,
    pub(super) readers: Arc<Connections>,
    pub(super) cache: Arc<Cache>,
    pub(super) outbox_filled: Arc<Notify>,
    pub(super) events_filled: Arc<Notify>,
    pub(super) follower: Follower,
    pub(super) path: PathBuf,
    pub(super) lock: Option<ProcessLock>,
}

impl Writer {
    /// Starts the thread that writes. It ends when the writer is closed or dropped, with what is
    /// queued by then committed.
    ///
    /// It is a thread of its own because it talks to the connection's thread all the time: waking
    /// a parked thread costs half of what waking a task on the shared runtime does.
    pub(super) fn start(state: WriterState) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (ended, running) = watch::channel(());
        let runtime = Handle::current();
        let file = file_at(&state.path);
        let writer = WriterLoop { state, file, durability: Durability::Full };
        thread::Builder::new().name("metadata-queue".to_owned()).spawn(move || {
            runtime.block_on(writer.run(receiver));
            drop(ended);
        })?;
        Ok(Self { queue: Mutex::new(Some(sender)), running })
    }

    /// Queues the operation and waits until it is committed. Once queued it is carried out even
    /// if nobody waits any longer.
    pub(super) async fn submit<O: Operation>(
        &self,
        operation: O,
    ) -> Result<O::Output, MetadataError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let queue = queue.ok_or(MetadataError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Pending { operation, output: None, answer });
        queue.send(job).await.map_err(|_| MetadataError::Closed)?;
        drop(queue);
        answered.await.map_err(|_| MetadataError::Closed)?
    }

    /// Commits what is queued and closes all connections.
    pub(super) async fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut running = self.running.clone();
        while running.changed().await.is_ok() {}
    }
}

/// An operation with its caller.
#[async_trait]
trait Job: Send {
    fn relaxed(&self) -> bool;

    async fn apply(&mut self, context: &mut Context<'_>) -> Result<(), Fault>;

    /// Tells the caller how it ended, committed or not.
    fn answer(self: Box<Self>, result: Result<(), MetadataError>, cache: &Cache);
}

struct Pending<O: Operation> {
    operation: O,
    output: Option<O::Output>,
    answer: oneshot::Sender<Result<O::Output, MetadataError>>,
}

#[async_trait]
impl<O: Operation> Job for Pending<O> {
    fn relaxed(&self) -> bool {
        O::RELAXED
    }

    async fn apply(&mut self, context: &mut Context<'_>) -> Result<(), Fault> {
        self.output = Some(self.operation.apply(context).await?);
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), MetadataError>, cache: &Cache) {
        let answer = match (result, self.output) {
            (Ok(()), Some(output)) => {
                self.operation.invalidate(&output, cache);
                Ok(output)
            }
            (Ok(()), None) => Err(MetadataError::Closed),
            (Err(error), _) => Err(error),
        };
        // Nobody listens any longer when the request was dropped.
        let _ = self.answer.send(answer);
    }
}

/// Whether a commit waits for stable storage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    Full,
    Relaxed,
}

struct WriterLoop {
    state: WriterState,
    /// The device and inode of the database file; `None` in memory.
    file: Option<(u64, u64)>,
    /// What the connection is set to.
    durability: Durability,
}

impl WriterLoop {
    async fn run(mut self, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        let mut jobs = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut jobs, BATCH).await > 0 {
            self.carry_out(&mut jobs).await;
        }
        // The last connection to close copies the log into the database, which a reader cannot.
        self.state.readers.close().await;
        self.state.connections.close().await;
        drop(self.state.lock);
    }

    /// Applies the jobs in one transaction; when that fails, each in one of its own, so that only
    /// those that cannot be done fail.
    async fn carry_out(&mut self, jobs: &mut Vec<Box<dyn Job>>) {
        // What goes into the outbox is never relaxed.
        let fills_outbox = self.state.follower.is_told() && !jobs.iter().all(|job| job.relaxed());
        match self.commit(jobs).await {
            Ok(()) => jobs.drain(..).for_each(|job| job.answer(Ok(()), &self.state.cache)),
            Err(fault) => {
                // The only job of its transaction has had its try.
                let mut known = (jobs.len() == 1).then_some(Err(fault));
                for mut job in jobs.drain(..) {
                    let result = match known.take() {
                        Some(result) => result,
                        None => self.commit(slice::from_mut(&mut job)).await,
                    };
                    let result = result.map_err(|fault| fault.explain(&self.state.path));
                    job.answer(result, &self.state.cache);
                }
            }
        }
        if fills_outbox {
            self.state.outbox_filled.notify_one();
        }
    }

    async fn commit(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), Fault> {
        self.refuse_without_file()?;
        let connections = Arc::clone(&self.state.connections);
        let mut connection = connections.acquire().await?;
        let wanted = match jobs.iter().all(|job| job.relaxed()) {
            true => Durability::Relaxed,
            false => Durability::Full,
        };
        self.set_durability(&mut connection, wanted).await?;
        execute(&mut connection, "BEGIN IMMEDIATE").await?;
        let result = self.apply_and_commit(&mut connection, jobs).await;
        if result.is_err() {
            // Fails where SQLite has rolled back by itself, as it does on a full disk.
            let _ = execute(&mut connection, "ROLLBACK").await;
        }
        result
    }

    async fn apply_and_commit(
        &self,
        connection: &mut SqliteConnection,
        jobs: &mut [Box<dyn Job>],
    ) -> Result<(), Fault> {
        let now = micros(SystemTime::now());
        let follower = self.state.follower;
        let mut recorded = Vec::new();
        for job in jobs {
            let events = &mut recorded;
            let mut context = Context {
                connection: &mut *connection,
                now,
                record_links: follower.is_told(),
                has_files: follower.has_files(),
                events,
            };
            job.apply(&mut context).await?;
        }
        if recorded.is_empty() {
            return execute(connection, "COMMIT").await;
        }
        events::insert(connection, now, &recorded).await?;
        execute(connection, "COMMIT").await?;
        self.state.events_filled.notify_one();
        Ok(())
    }

    /// A file that was deleted can be written to the end of the process, and all is lost then.
    fn refuse_without_file(&self) -> Result<(), Fault> {
        if self.file.is_some() && file_at(&self.state.path) != self.file {
            let path = self.state.path.display();
            return Err(Fault::Unavailable(format!(
                "its file {path} was deleted or replaced while berth used it; stop berth and run `berth reindex`"
            )));
        }
        Ok(())
    }

    /// In WAL mode a commit under NORMAL survives the process but may be lost in a power cut; the
    /// next commit under FULL makes it durable with its own.
    async fn set_durability(
        &mut self,
        connection: &mut SqliteConnection,
        wanted: Durability,
    ) -> Result<(), Fault> {
        if self.durability != wanted {
            execute(
                connection,
                match wanted {
                    Durability::Full => "PRAGMA synchronous = FULL",
                    Durability::Relaxed => "PRAGMA synchronous = NORMAL",
                },
            )
            .await?;
            self.durability = wanted;
        }
        Ok(())
    }
}

/// Which file has this name.
fn file_at(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

async fn execute(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), Fault> {
    sqlx::query(sql).execute(connection).await?;
    Ok(())
}
