//! The engine: all containers below a pair of roots.

use std::fmt;

use super::attach::Attachment;
use super::error::ContainerError;
use super::id::ContainerId;
use super::logs::{self, Entry, LogQuery};
use super::process::Process;
use super::record::Container;
use super::store::Store;
use super::{monitor, names};
use crate::Roots;

/// What commands work with. It holds nothing open, so it may be there any number of times.
#[derive(Clone)]
pub struct Engine {
    pub(super) roots: Roots,
    pub(super) store: Store,
    pub(super) idle: fn(),
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("roots", &self.roots).finish_non_exhaustive()
    }
}

impl Engine {
    /// The engine of these roots, which are made where they are missing. A monitor calls `idle` once it has nothing
    /// to do but to wait: to give back memory.
    ///
    /// # Errors
    ///
    /// When the folders cannot be made.
    pub fn open(roots: &Roots, idle: fn()) -> Result<Self, ContainerError> {
        use super::error::Doing as _;
        let absolute = |path| std::path::absolute(path).doing(|| "find the working directory");
        let roots = Roots::new(absolute(roots.data())?, absolute(roots.run())?);
        Ok(Self { store: Store::open(&roots)?, roots, idle })
    }

    /// The folders it works in.
    #[must_use]
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The container that is meant by a name, an id, or the beginning of an id.
    ///
    /// # Errors
    ///
    /// [`ContainerError::NotFound`] and [`ContainerError::Ambiguous`].
    pub fn find(&self, text: &str) -> Result<Container, ContainerError> {
        let id = self.store.resolve(text)?;
        let container = self.store.look(&id)?;
        // One whose monitor was killed is another one afterwards.
        if self.look_after(&container)? { self.store.look(&id) } else { Ok(container) }
    }

    /// All containers, the newest first.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read.
    pub fn list(&self) -> Result<Vec<Container>, ContainerError> {
        self.collect()?;
        let mut all = self.store.all()?;
        all.sort_by_key(|container| std::cmp::Reverse(container.record.created));
        Ok(all)
    }

    /// Starts a container. One that runs already is left alone, and `None` is given back.
    ///
    /// # Errors
    ///
    /// When it cannot be. Whether its program could be started is told by what is given back.
    pub fn start(&self, text: &str) -> Result<Option<Attachment>, ContainerError> {
        let container = self.find(text)?;
        let id = container.record.id.clone();
        if container.status == super::Status::Paused {
            return Err(ContainerError::Conflict(
                "cannot start a paused container, try unpause instead".to_owned(),
            ));
        }
        let Some(held) = self.store.hold(&id)? else { return Ok(None) };
        // Somebody else may have renamed it before it was held.
        let record = self.store.record(&id)?;
        Ok(Some(Attachment::new(monitor::start(self, held, record)?)))
    }

    /// Gives a container another name.
    ///
    /// # Errors
    ///
    /// When the name is none, or taken.
    pub fn rename(&self, text: &str, name: &str) -> Result<(), ContainerError> {
        let container = self.find(text)?;
        let mut record = container.record;
        let name = name.strip_prefix('/').unwrap_or(name);
        if name == record.name {
            return Err(ContainerError::Conflict(
                "Renaming a container with the same name as its current name".to_owned(),
            ));
        }
        self.claim(name, &record.id)?;
        let before = std::mem::replace(&mut record.name, name.to_owned());
        self.store.write_record(&record, true)?;
        self.store.names.release(&before, &record.id)
    }

    pub(super) fn claim(&self, name: &str, id: &ContainerId) -> Result<(), ContainerError> {
        let lives = |holder: &ContainerId| {
            self.store.is_there(holder) || matches!(self.store.try_hold(holder), Ok(None))
        };
        self.store.names.claim(name, id, lives)
    }

    /// A name that nobody has.
    pub(super) fn claim_any(&self, id: &ContainerId) -> Result<String, ContainerError> {
        let mut attempt = 0;
        loop {
            let name = names::generate(attempt)?;
            match self.claim(&name, id) {
                Err(ContainerError::NameTaken { .. }) => attempt += 1,
                other => return other.map(|()| name),
            }
        }
    }

    /// Gives each line of a container's log that is wanted to `show`.
    ///
    /// # Errors
    ///
    /// When the log, or what is shown, cannot be had.
    pub fn logs(
        &self,
        text: &str,
        query: &LogQuery,
        show: &mut dyn FnMut(&Entry<'_>) -> std::io::Result<()>,
    ) -> Result<(), ContainerError> {
        let container = self.find(text)?;
        let options = logs::LogOptions::new(&container.record.host_config.log_config)?;
        if !options.keep {
            return Err(ContainerError::Conflict(
                "configured logging driver does not support reading".to_owned(),
            ));
        }
        let monitor = match &container.running {
            Some(running) => Process::of(&running.monitor)?,
            None => None,
        };
        let ending =
            monitor.map_or(logs::Ending::Past, |monitor| logs::Ending::With(monitor.pidfd));
        logs::read(&self.store.data(&container.record.id).join("log"), query, ending, show)
    }

    /// Where the newest lines of a container's log are.
    #[must_use]
    pub fn log_path(&self, container: &Container) -> std::path::PathBuf {
        logs::current(&self.store.data(&container.record.id).join("log"))
    }
}
