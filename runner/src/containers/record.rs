//! What is written down of a container.

use std::collections::BTreeMap;
use std::fmt;

use berth_oci::Digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::ContainerError;
use super::id::ContainerId;
use crate::network::EndpointSettings;
use crate::oci::container::Identity;
use crate::spec::{ContainerConfig, HostConfig, MountPoint};

/// `container.json`: what it was asked to be. It changes with its name alone.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Record {
    /// What it is called for ever.
    pub id: ContainerId,
    /// What it is called now, without a slash.
    pub name: String,
    /// Since when it is there.
    pub created: Timestamp,
    /// The id of its image.
    pub image: Digest,
    /// The layers of its image, the lowest first.
    pub layers: Vec<Digest>,
    /// What runs in it, that of the image included.
    pub config: ContainerConfig,
    /// What it has of this machine.
    pub host_config: HostConfig,
    /// What is mounted in it, but for tmpfs.
    pub mounts: Vec<MountPoint>,
}

impl Record {
    /// The program and its arguments.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let words = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        let mut command = words(&self.config.entrypoint);
        command.retain(|word| !word.is_empty());
        command.extend(words(&self.config.cmd));
        command
    }

    /// The labels.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.config.labels
    }
}

/// `state.json`: how it ended the last time. There is none before.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Ended {
    /// When the program was started; nothing where it could not be.
    pub started_at: Option<Timestamp>,
    /// When it had ended.
    pub finished_at: Option<Timestamp>,
    /// Its exit code, or 128 and the number of the signal that killed it.
    pub exit_code: u8,
    /// Whether the kernel killed a process for its memory.
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    /// Why it could not be started, or why its exit code is not known.
    pub error: String,
}

/// `<run>/…/running.json`: who is in charge of it while it runs.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Running {
    /// Its monitor.
    pub(super) monitor: Identity,
    /// Its first process, once there is one.
    pub(super) program: Option<Identity>,
    /// When that was started.
    pub(super) started_at: Option<Timestamp>,
    /// How it is connected.
    pub(super) network: Option<EndpointSettings>,
}

impl Running {
    /// Whether it is written down how that ended.
    pub(super) fn is_over(&self, ended: Option<&Ended>) -> bool {
        ended.is_some_and(|ended| ended.started_at == self.started_at)
    }
}

/// What a container is now, in docker's words.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It has not run yet.
    Created,
    /// It runs.
    Running,
    /// It runs, and is stopped where it is.
    Paused,
    /// It has ended.
    Exited,
}

impl Status {
    /// Whether there is a process.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Exited => "exited",
        })
    }
}

/// A container as it is at one moment.
#[derive(Clone, Debug)]
pub struct Container {
    /// What it was asked to be.
    pub record: Record,
    /// What it is.
    pub status: Status,
    /// How it ended the last time.
    pub ended: Option<Ended>,
    pub(super) running: Option<Running>,
}

impl Container {
    /// The number of its first process; 0 where there is none.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.program().map_or(0, |program| program.pid)
    }

    /// When its program was started the last time.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        let now = self.running.as_ref().filter(|_| self.status.is_running());
        match now {
            Some(running) => running.started_at,
            None => self.ended.as_ref().and_then(|ended| ended.started_at),
        }
    }

    /// How it is connected while it runs.
    #[must_use]
    pub fn network(&self) -> Option<&EndpointSettings> {
        self.running.as_ref().filter(|_| self.status.is_running())?.network.as_ref()
    }

    /// Whether its program has not ended.
    pub(super) fn lives(&self) -> Result<bool, ContainerError> {
        let lives = self.program().map_or(Ok(false), Identity::is_alive);
        lives.map_err(|error| ContainerError::Conflict(error.to_string()))
    }

    pub(super) fn program(&self) -> Option<&Identity> {
        self.running.as_ref().filter(|_| self.status.is_running())?.program.as_ref()
    }
}
