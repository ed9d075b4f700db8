//! What is kept of a container between commands, and what it is now.

mod id;
mod record;

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Result;
use super::config::Config;
use super::error::{Doing as _, Error};

pub(super) use id::ContainerId;
pub(crate) use record::Identity;
pub(super) use record::Record;

/// The name of the socket on which the process waits for `start`.
const START: &str = "start";
const RECORD: &str = "state.json";
const PROCESS: &str = "process.json";
const CONFIG: &str = "config.json";

/// In the words of the specification, and `paused`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Creating => "being created",
            Self::Created => "created and not started",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// The folder of one container, held by one command that changes something at a time.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
}

impl Folder {
    /// Makes the folder of a container that is not there yet.
    pub(super) fn create(root: &Path, id: &ContainerId) -> Result<Self> {
        let path = root.join(id.as_str());
        let private = |recursive| {
            let mut builder = fs::DirBuilder::new();
            builder.mode(0o700).recursive(recursive);
            builder
        };
        private(true).create(root).doing(|| format!("make {}", root.display()))?;
        match private(false).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::Exists(id.to_string()));
            }
            other => other.doing(|| format!("make {}", path.display()))?,
        }
        Self::hold(path)
    }

    /// Finds the folder of a container, and waits until no other command holds it.
    pub(super) fn open(root: &Path, id: &ContainerId) -> Result<Self> {
        let path = root.join(id.as_str());
        match Self::hold(path) {
            Err(Error::System { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Err(Error::NotFound(id.to_string()))
            }
            other => other,
        }
    }

    fn hold(path: PathBuf) -> Result<Self> {
        loop {
            let lock = File::open(&path).doing(|| format!("open {}", path.display()))?;
            flock(&lock, FlockOperation::LockExclusive)
                .doing(|| format!("lock {}", path.display()))?;
            // Whoever held it may have removed it, and another one of the name may be there since.
            if is_at(&lock, &path).doing(|| format!("look at {}", path.display()))? {
                return Ok(Self { path, lock });
            }
        }
    }

    /// The socket, by a path that fits into its address however long that of the folder is.
    pub(super) fn start_socket(&self) -> PathBuf {
        use std::os::fd::AsRawFd as _;
        PathBuf::from(format!("/proc/self/fd/{}/{START}", self.lock.as_raw_fd()))
    }

    pub(super) fn record(&self) -> Result<Record> {
        read_record(&self.path)
    }

    /// Writes the record, but for the process.
    pub(super) fn write_record(&self, record: &Record) -> Result<()> {
        self.write_whole(RECORD, record)
    }

    /// Records the first process.
    pub(super) fn write_process(&self, identity: &Identity) -> Result<()> {
        self.write_whole(PROCESS, identity)
    }

    /// A reader sees all of it or nothing.
    fn write_whole(&self, name: &str, what: &impl Serialize) -> Result<()> {
        let text = serde_json::to_vec(what)
            .map_err(|error| Error::invalid(format!("the state of the container: {error}")))?;
        let scratch = self.path.join(".new");
        self.write(&scratch, &text)?;
        fs::rename(&scratch, self.path.join(name)).doing(|| "record the state of the container")
    }

    pub(super) fn write_config(&self, text: &[u8]) -> Result<()> {
        self.write(&self.path.join(CONFIG), text)
    }

    fn write(&self, path: &Path, text: &[u8]) -> Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(path).doing(|| format!("write {}", path.display()))?;
        io::Write::write_all(&mut file, text).doing(|| format!("write {}", path.display()))
    }

    /// The configuration that the container was made after.
    pub(super) fn config(&self) -> Result<Config> {
        let path = self.path.join(CONFIG);
        Config::parse(&fs::read(&path).doing(|| format!("read {}", path.display()))?)
    }

    /// What the container is now.
    pub(super) fn status(&self, record: &Record) -> Result<Status> {
        status(&self.path, record)
    }

    /// That the process no longer waits.
    pub(super) fn started(&self) -> Result<()> {
        fs::remove_file(self.path.join(START)).doing(|| "take the start socket away")
    }

    /// Removes all that is kept.
    pub(super) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.path).doing(|| format!("remove {}", self.path.display()))
    }
}

impl Drop for Folder {
    /// A process that was cloned meanwhile has the lock, too, and keeps it for as long as it waits.
    fn drop(&mut self) {
        // It is let go of at the latest when both are gone.
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

/// What is kept of one container, without waiting for anybody.
pub(super) fn look(root: &Path, id: &ContainerId) -> Result<(Record, Status)> {
    let path = root.join(id.as_str());
    let record = match read_record(&path) {
        Err(Error::System { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(Error::NotFound(id.to_string()));
        }
        other => other?,
    };
    let status = status(&path, &record)?;
    Ok((record, status))
}

/// The containers below `root`, by name; those that just go or just come are left out.
pub(super) fn all(root: &Path) -> Result<Vec<(Record, Status)>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.doing(|| format!("list {}", root.display()))?,
    };
    let mut ids: Vec<ContainerId> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.parse().ok())
        .collect();
    ids.sort();
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        match look(root, &id) {
            Err(Error::NotFound(_)) => {}
            other => found.push(other?),
        }
    }
    Ok(found)
}

fn is_at(folder: &File, path: &Path) -> io::Result<bool> {
    let (open, there) = (folder.metadata()?, fs::metadata(path)?);
    Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
}

fn read_record(folder: &Path) -> Result<Record> {
    let mut record: Record = read_json(&folder.join(RECORD))?;
    // Without it there is no process yet.
    match read_json(&folder.join(PROCESS)) {
        Err(Error::System { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        identity => record.identity = Some(identity?),
    }
    Ok(record)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).doing(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&text)
        .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
}

fn status(folder: &Path, record: &Record) -> Result<Status> {
    let Some(identity) = &record.identity else { return Ok(Status::Creating) };
    if !identity.is_alive()? {
        return Ok(Status::Stopped);
    }
    if folder.join(START).exists() {
        return Ok(Status::Created);
    }
    Ok(if record.cgroup.is_frozen()? { Status::Paused } else { Status::Running })
}

/// A process that is certainly the one that was recorded.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pidfd: OwnedFd,
}

impl Process {
    /// `None` when it has ended.
    pub(super) fn of(identity: &Identity) -> Result<Option<Self>> {
        let Some(pid) = Pid::from_raw(identity.pid) else { return Ok(None) };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(None),
            other => other.doing(|| format!("open the process {}", identity.pid))?,
        };
        // Looked at after it was opened: the number cannot have changed hands since.
        Ok(identity.is_alive()?.then_some(Self { pidfd }))
    }

    /// # Errors
    ///
    /// [`Error::NotRunning`] when it has ended.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Err(rustix::io::Errno::SRCH) => Err(Error::NotRunning),
            other => other.doing(|| "send the signal"),
        }
    }
}
