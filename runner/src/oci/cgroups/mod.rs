//! Control groups of a container: version 1 with a tree for each controller (a version 2 tree beside
//! it is left alone), and version 2. They are made in the file system, as Docker's `cgroupfs` driver
//! does it.

mod device_program;
mod files;
mod layout;
mod v1;
mod v2;

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Result;
use super::config::resources::Resources;
use super::error::{Doing as _, Error};

pub(crate) use layout::Layout;

/// The place of one container.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cgroup {
    V1(v1::Cgroup),
    V2(v2::Cgroup),
}

/// How a process gets into a cgroup.
#[derive(Debug)]
pub(super) enum Entrance {
    /// It is cloned into this folder.
    Clone(OwnedFd),
    /// It goes in by itself, by each of these files.
    Write(Vec<File>),
}

impl Entrance {
    /// Brings this process in, unless it was cloned into it. It has one thread, and that is what is brought in: for
    /// one that brings itself the kernel waits for nobody. For whole processes, and for others, it waits until all
    /// processors have seen that none is about to clone, which takes milliseconds.
    pub(super) fn enter(self) -> Result<()> {
        let Self::Write(files) = self else { return Ok(()) };
        files.into_iter().try_for_each(|mut file| {
            file.write_all(b"0").doing(|| "bring the process into the cgroup of the container")
        })
    }
}

/// One folder that a container may see of its cgroup, and its name below `/sys/fs/cgroup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// Other names of it.
    pub(super) links: Vec<String>,
}

/// How often, and how far apart, something is tried that processes which are just ending hold up.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(5);

impl Cgroup {
    /// The place that `path` means: absolute is from the root of the trees, else it is from where
    /// this process is, and none is that of the container's name there.
    pub(crate) fn at(layout: &Layout, path: &str, id: &str) -> Result<Self> {
        let path = layout::Place::parse(path, id)?;
        Ok(match layout {
            Layout::Legacy(trees) => Self::V1(v1::Cgroup::at(trees, &path)),
            Layout::Unified(tree) => Self::V2(v2::Cgroup::at(tree, &path)),
        })
    }

    /// Refuses a place where others are: they would be limited, paused and killed with the container.
    pub(super) fn refuse_others(&self) -> Result<()> {
        match self.processes()?.len() {
            0 => Ok(()),
            count => Err(Error::invalid(format!(
                "linux.cgroupsPath: there are {count} processes in that cgroup already"
            ))),
        }
    }

    /// Makes it, with these limits. What is there already is used.
    pub(super) fn create(&self, resources: &Resources) -> Result<()> {
        match self {
            Self::V1(cgroup) => cgroup.create(resources),
            Self::V2(cgroup) => cgroup.create(resources),
        }
    }

    /// Changes limits; those that are `None` stay.
    pub(super) fn update(&self, resources: &Resources) -> Result<()> {
        match self {
            Self::V1(cgroup) => cgroup.update(resources),
            Self::V2(cgroup) => cgroup.update(resources),
        }
    }

    pub(super) fn entrance(&self) -> Result<Entrance> {
        match self {
            Self::V1(cgroup) => cgroup.entrance().map(Entrance::Write),
            Self::V2(cgroup) => cgroup.entrance().map(Entrance::Clone),
        }
    }

    /// What a container without a cgroup namespace is shown.
    pub(super) fn views(&self) -> Vec<View> {
        match self {
            Self::V1(cgroup) => cgroup.views(),
            Self::V2(cgroup) => vec![cgroup.view()],
        }
    }

    /// Whether `/sys/fs/cgroup` is one file system.
    pub(super) fn is_unified(&self) -> bool {
        matches!(self, Self::V2(_))
    }

    /// The process ids in it and below it, as this process sees them.
    pub(crate) fn processes(&self) -> Result<Vec<i32>> {
        match self {
            Self::V1(cgroup) => cgroup.processes(),
            Self::V2(cgroup) => cgroup.processes(),
        }
    }

    pub(crate) fn is_frozen(&self) -> Result<bool> {
        match self {
            Self::V1(cgroup) => cgroup.is_frozen(),
            Self::V2(cgroup) => cgroup.is_frozen(),
        }
    }

    /// Stops all processes where they are, or lets them go on; returns when that is so.
    pub(crate) fn freeze(&self, frozen: bool) -> Result<()> {
        match self {
            Self::V1(cgroup) => cgroup.freeze(frozen),
            Self::V2(cgroup) => cgroup.freeze(frozen),
        }
    }

    /// Sends a signal to every process in it. None is missed that another one just starts.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        if let Self::V2(cgroup) = self
            && signal == Signal::KILL
            && cgroup.kill()?
        {
            return Ok(());
        }
        // Whoever is stopped starts nobody. One that is stopped already stays so until it gets KILL.
        let was_frozen = self.is_frozen()?;
        self.freeze(true)?;
        for pid in self.processes()?.into_iter().filter_map(Pid::from_raw) {
            match kill_process(pid, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                other => other.doing(|| "send the signal")?,
            }
        }
        if !was_frozen || signal == Signal::KILL { self.freeze(false) } else { Ok(()) }
    }

    /// What it uses, in the words of runc's `events`.
    pub(super) fn statistics(&self) -> Value {
        match self {
            Self::V1(cgroup) => cgroup.statistics(),
            Self::V2(cgroup) => cgroup.statistics(),
        }
    }

    /// How often the kernel killed a process in it for its memory.
    pub(crate) fn memory_kills(&self) -> u64 {
        match self {
            Self::V1(cgroup) => cgroup.memory_kills(),
            Self::V2(cgroup) => cgroup.memory_kills(),
        }
    }

    /// Ends all that is in it, and removes it.
    pub(crate) fn remove(&self) -> Result<()> {
        for _ in 0..TRIES {
            if self.try_remove()? {
                return Ok(());
            }
            self.signal(Signal::KILL)?;
            sleep(PAUSE);
        }
        Err(Error::Unsupported("the cgroup cannot be removed: processes in it do not end".into()))
    }

    /// `false` when something is in it.
    fn try_remove(&self) -> Result<bool> {
        match self {
            Self::V1(cgroup) => cgroup.try_remove(),
            Self::V2(cgroup) => cgroup.try_remove(),
        }
    }
}
