//! The folders of containers.
//!
//! ```text
//! <data>/containers/names/<name>      a link that says whose name it is
//! <data>/containers/<id>/             0700; locked by whoever is in charge of it
//!   container.json                    what it was asked to be; without it the folder is no container
//!   ended.json                        how it ended the last time
//!   begun                             a link that says since when it runs
//!   mounts.json                       volumes that were to be made for it before it had a record
//!   log/                              what it said
//!   upper/ work/                      what it wrote
//! <data>/containers/removed-<id>/     one that is being removed
//! <run>/containers/<id>/              0700; there while it runs, or is about to
//!   running.json                      who is in charge: its monitor, its first process
//!   config.json                       what the OCI runtime was told
//!   rootfs/                           its root
//!   hosts hostname resolv.conf        files that are mounted into it
//!   stdout stderr                     what its program writes
//!   attach                            the socket of its monitor
//!   process                           a mount that pins the first process, for its exit code
//! ```

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::{FdFlags, fcntl_setfd};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{ContainerError, Doing as _};
use super::id::{ContainerId, is_prefix};
use super::names::{Names, list};
use super::record::{Container, Ended, Record, Running, Status};
use crate::Roots;
use crate::oci::cgroups::{Cgroup, Layout};
use crate::spec::MountPoint;

const RECORD: &str = "container.json";
const ENDED: &str = "ended.json";
const RUNNING: &str = "running.json";
const MOUNTS: &str = "mounts.json";
const NAMES: &str = "names";
const REMOVED: &str = "removed-";

/// How often, and how far apart, a lock is tried that somebody holds for a moment.
const TRIES: u32 = 1000;
const PAUSE: Duration = Duration::from_millis(10);

/// All containers.
#[derive(Clone, Debug)]
pub(super) struct Store {
    data: PathBuf,
    run: PathBuf,
    pub(super) names: Names,
}

/// The right to change one container: others wait, or are told that it runs. It goes on in a process that
/// is cloned from the one that has it, and ends with both.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: ContainerId,
    lock: File,
}

/// As long as it is there, a program that is started holds the container, too, until it ends.
#[derive(Debug)]
pub(super) struct Shared<'held>(&'held Held);

impl Held {
    /// Has programs that are started from now on hold it as well.
    pub(super) fn share(&self) -> Result<Shared<'_>, ContainerError> {
        fcntl_setfd(&self.lock, FdFlags::empty()).doing(|| "share the lock of the container")?;
        Ok(Shared(self))
    }

    /// The descriptor that holds it.
    pub(super) fn descriptor(&self) -> std::os::fd::RawFd {
        use std::os::fd::AsRawFd as _;
        self.lock.as_raw_fd()
    }
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        // It is a descriptor of this process, so it has flags.
        let _ = fcntl_setfd(&self.0.lock, FdFlags::CLOEXEC);
    }
}

impl Store {
    pub(super) fn open(roots: &Roots) -> Result<Self, ContainerError> {
        let data = roots.data().join("containers");
        let run = roots.run().join("containers");
        let names = data.join(NAMES);
        for folder in [&names, &run] {
            if !folder.is_dir() {
                private(true).create(folder).doing(|| format!("make {}", folder.display()))?;
            }
        }
        Ok(Self { data, run, names: Names::new(names) })
    }

    /// Where what lasts of a container is.
    pub(super) fn data(&self, id: &ContainerId) -> PathBuf {
        self.data.join(id.as_str())
    }

    /// Where what is there while it runs is.
    pub(super) fn run(&self, id: &ContainerId) -> PathBuf {
        self.run.join(id.as_str())
    }

    /// Makes the folder of a container that is not one yet: it has no record.
    pub(super) fn create(&self, id: &ContainerId) -> Result<Held, ContainerError> {
        let folder = self.data(id);
        for _ in 0..TRIES {
            match private(false).create(&folder) {
                // Somebody took it for what a killed command has left, and is about to remove it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => sleep(PAUSE),
                other => other.doing(|| format!("make {}", folder.display()))?,
            }
            match self.try_hold(id) {
                Ok(Some(held)) => return Ok(held),
                Ok(None) | Err(ContainerError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ContainerError::Conflict(format!("others remove the folder {}", folder.display())))
    }

    /// Says that a container is about to be started, by its folder of what runs: whoever finds that and the
    /// container held by nobody knows that the start broke off.
    pub(super) fn announce(&self, id: &ContainerId) -> Result<(), ContainerError> {
        let run = self.run(id);
        private(false).create(&run).doing(|| format!("make {}", run.display()))
    }

    /// Takes charge of a container, unless somebody is.
    pub(super) fn try_hold(&self, id: &ContainerId) -> Result<Option<Held>, ContainerError> {
        let folder = self.data(id);
        let lock = match File::open(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ContainerError::NotFound(id.to_string()));
            }
            other => other.doing(|| format!("open {}", folder.display()))?,
        };
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            other => other.doing(|| format!("lock {}", folder.display()))?,
        }
        // Whoever held it may have removed it.
        match fs::metadata(&folder) {
            Ok(there) if there.ino() == lock.metadata().doing(|| "look at the lock")?.ino() => {
                Ok(Some(Held { id: id.clone(), lock }))
            }
            _ => Err(ContainerError::NotFound(id.to_string())),
        }
    }

    /// Takes charge of a container that does not run, once others are done with it. `None` when it runs.
    pub(super) fn hold(&self, id: &ContainerId) -> Result<Option<Held>, ContainerError> {
        for _ in 0..TRIES {
            if let Some(held) = self.try_hold(id)? {
                return Ok(Some(held));
            }
            if self.look(id)?.lives()? {
                return Ok(None);
            }
            sleep(PAUSE);
        }
        Err(ContainerError::Conflict(format!("container {id} is being changed by another command")))
    }

    /// Which container is meant: by its id, its name, or the beginning of its id.
    pub(super) fn resolve(&self, text: &str) -> Result<ContainerId, ContainerError> {
        if let Ok(id) = text.parse::<ContainerId>()
            && self.is_there(&id)
        {
            return Ok(id);
        }
        let name = text.strip_prefix('/').unwrap_or(text);
        if let Some(id) = self.names.holder(name)?
            && self.is_there(&id)
        {
            return Ok(id);
        }
        if !is_prefix(text) {
            return Err(ContainerError::NotFound(text.to_owned()));
        }
        let mut found = self.ids()?.into_iter().filter(|id| id.as_str().starts_with(text));
        match (found.next(), found.next()) {
            (Some(id), None) if self.is_there(&id) => Ok(id),
            (Some(_), Some(_)) => Err(ContainerError::Ambiguous(text.to_owned())),
            _ => Err(ContainerError::NotFound(text.to_owned())),
        }
    }

    /// Whether it is a container: one that is just being made is not.
    pub(super) fn is_there(&self, id: &ContainerId) -> bool {
        // One that goes with its end is not written to the disk on purpose, and empty after that of the machine.
        fs::metadata(self.data(id).join(RECORD)).is_ok_and(|record| record.len() > 0)
    }

    /// All folders that could be containers.
    pub(super) fn ids(&self) -> Result<Vec<ContainerId>, ContainerError> {
        Ok(list(&self.data)?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// All that have a folder for what runs.
    pub(super) fn running_ids(&self) -> Result<Vec<ContainerId>, ContainerError> {
        Ok(list(&self.run)?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    pub(super) fn record(&self, id: &ContainerId) -> Result<Record, ContainerError> {
        read(&self.data(id).join(RECORD))?.ok_or_else(|| ContainerError::NotFound(id.to_string()))
    }

    /// Writes the record. With `lasting` it outlives the machine's sudden end.
    pub(super) fn write_record(
        &self,
        record: &Record,
        lasting: bool,
    ) -> Result<(), ContainerError> {
        write(&self.data(&record.id), RECORD, record, lasting)
    }

    /// Writes down what volumes a container is about to have, until its record says so.
    pub(super) fn write_mounts(
        &self,
        id: &ContainerId,
        mounts: &[MountPoint],
    ) -> Result<(), ContainerError> {
        write(&self.data(id), MOUNTS, mounts, false)
    }

    /// The volumes of a container that was never whole.
    pub(super) fn mounts(&self, id: &ContainerId) -> Result<Vec<MountPoint>, ContainerError> {
        Ok(read(&self.data(id).join(MOUNTS))?.unwrap_or_default())
    }

    pub(super) fn ended(&self, id: &ContainerId) -> Result<Option<Ended>, ContainerError> {
        read(&self.data(id).join(ENDED))
    }

    /// Writes down how it ended. With `lasting` it outlives the machine's sudden end.
    pub(super) fn write_ended(
        &self,
        id: &ContainerId,
        ended: &Ended,
        lasting: bool,
    ) -> Result<(), ContainerError> {
        write(&self.data(id), ENDED, ended, lasting)?;
        if lasting { self.unmark_begun(id) } else { Ok(()) }
    }

    pub(super) fn running(&self, id: &ContainerId) -> Result<Option<Running>, ContainerError> {
        read(&self.run(id).join(RUNNING))
    }

    pub(super) fn write_running(
        &self,
        id: &ContainerId,
        running: &Running,
    ) -> Result<(), ContainerError> {
        write(&self.run(id), RUNNING, running, false)
    }

    /// A container as it is now. One whose program has ended runs still until that is written down.
    pub(super) fn look(&self, id: &ContainerId) -> Result<Container, ContainerError> {
        let record = self.record(id)?;
        // In this order: who ends writes how, before nothing says any longer that it runs.
        let running = self.running(id)?;
        let ended = self.ended(id)?;
        let is_running = running
            .as_ref()
            .is_some_and(|running| running.program.is_some() && !running.is_over(ended.as_ref()));
        let status = match &ended {
            _ if is_running && is_paused(&record) => Status::Paused,
            _ if is_running => Status::Running,
            Some(ended) if ended.started_at.is_some() => Status::Exited,
            _ => Status::Created,
        };
        Ok(Container { record, status, ended, running })
    }

    /// All containers; those that come or go meanwhile are left out.
    pub(super) fn all(&self) -> Result<Vec<Container>, ContainerError> {
        let mut found = Vec::new();
        for id in self.ids()? {
            match self.look(&id) {
                Err(ContainerError::NotFound(_)) => {}
                other => found.push(other?),
            }
        }
        Ok(found)
    }

    /// Takes a container away from everybody's sight, and its name from it. What is left goes with
    /// [`Self::discard`].
    pub(super) fn remove(&self, held: &Held, name: &str) -> Result<(), ContainerError> {
        let (from, to) = (self.data(&held.id), self.removed(&held.id));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.doing(|| format!("remove {}", from.display()))?,
        }
        if name.is_empty() { Ok(()) } else { self.names.release(name, &held.id) }
    }

    /// Deletes what is left of a container that was removed.
    pub(super) fn discard(&self, id: &ContainerId) -> Result<(), ContainerError> {
        remove_all(&self.removed(id))
    }

    /// What is left of containers whose removal broke off.
    pub(super) fn discarded(&self) -> Result<Vec<ContainerId>, ContainerError> {
        let names = list(&self.data)?;
        Ok(names.iter().filter_map(|name| name.strip_prefix(REMOVED)?.parse().ok()).collect())
    }

    /// The record of a container whose removal broke off.
    pub(super) fn removed_record(
        &self,
        id: &ContainerId,
    ) -> Result<Option<Record>, ContainerError> {
        read(&self.removed(id).join(RECORD))
    }

    fn removed(&self, id: &ContainerId) -> PathBuf {
        self.data.join(format!("{REMOVED}{id}"))
    }
}

/// The place in the cgroups of a container, whichever runtime makes it.
pub(super) fn cgroup(record: &Record) -> crate::oci::Result<Cgroup> {
    Cgroup::at(&Layout::detect()?, &cgroup_path(record), record.id.as_str())
}

/// The same as the runtime is told.
pub(super) fn cgroup_path(record: &Record) -> String {
    let parent = record.host_config.cgroup_parent.trim_matches('/');
    let parent = if parent.is_empty() { "berth" } else { parent };
    format!("/{parent}/{}", record.id)
}

fn is_paused(record: &Record) -> bool {
    // A cgroup that is gone just now is not stopped.
    cgroup(record).and_then(|cgroup| cgroup.is_frozen()).unwrap_or(false)
}

/// A folder for the engine alone.
pub(super) fn private(recursive: bool) -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700).recursive(recursive);
    builder
}

/// Removes a folder with all that is in it, if it is there.
pub(super) fn remove_all(folder: &Path) -> Result<(), ContainerError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.doing(|| format!("remove {}", folder.display())),
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ContainerError> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // What was not to last is so after the machine's sudden end.
        Ok(text) if text.is_empty() => return Ok(None),
        other => other.doing(|| format!("read {}", path.display()))?,
    };
    serde_json::from_slice(&text).map(Some).map_err(|source| damaged(path, source))
}

/// Writes a file whole: a reader sees the one before or this one.
fn write<T: Serialize + ?Sized>(
    folder: &Path,
    name: &str,
    value: &T,
    lasting: bool,
) -> Result<(), ContainerError> {
    let path = folder.join(name);
    let text = serde_json::to_vec(value).map_err(|source| damaged(&path, source))?;
    let scratch = folder.join(format!(".{name}"));
    let write = || -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&scratch)?;
        file.write_all(&text)?;
        if lasting {
            file.sync_all()?;
        }
        fs::rename(&scratch, &path)?;
        if lasting { File::open(folder)?.sync_all() } else { Ok(()) }
    };
    write().doing(|| format!("write {}", path.display()))
}

fn damaged(path: &Path, source: serde_json::Error) -> ContainerError {
    ContainerError::Damaged { path: path.display().to_string(), source }
}
