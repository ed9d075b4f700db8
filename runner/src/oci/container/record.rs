//! `state.json`: what was made; `process.json`: the process in it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::Result;
use super::super::cgroups::Cgroup;
use super::super::config::Hooks;
use super::super::config::linux::NamespaceKind;
use super::super::error::Doing as _;
use super::super::kernel::procfs::Procfs;
use super::{ContainerId, Status};

/// The version of the specification that is spoken to hooks and engines.
const VERSION: &str = "1.2.0";

/// One container.
#[derive(Debug, Deserialize, Serialize)]
pub(in crate::oci) struct Record {
    pub(in crate::oci) id: ContainerId,
    /// Its first process, once there is one. It is kept in a file of its own: nothing has to be written again, which
    /// file systems take for something that must not be lost, and begin to write to the disk.
    #[serde(default, skip_serializing)]
    pub(in crate::oci) identity: Option<Identity>,
    pub(in crate::oci) bundle: PathBuf,
    pub(in crate::oci) rootfs: PathBuf,
    /// When, as RFC 3339 has it.
    pub(in crate::oci) created: String,
    pub(in crate::oci) annotations: BTreeMap<String, String>,
    pub(in crate::oci) cgroup: Cgroup,
    /// Those that its processes do not share with the runtime.
    pub(in crate::oci) namespaces: Vec<NamespaceKind>,
    /// Those that run after `start` and after the end.
    pub(in crate::oci) hooks: Hooks,
    /// Without a mount namespace for itself: the mount that its root was mounted upon.
    #[serde(default)]
    pub(in crate::oci) shared_mounts: Option<u64>,
}

impl Record {
    /// The state as hooks and engines get it.
    pub(in crate::oci) fn state(&self, status: Status) -> Value {
        let living = self.identity.as_ref().filter(|_| status != Status::Stopped);
        let pid = living.map_or(0, |identity| identity.pid);
        let mut state = json!({
            "ociVersion": VERSION,
            "id": self.id,
            "status": status,
            "pid": pid,
            "bundle": self.bundle,
            "rootfs": self.rootfs,
            "created": self.created,
            "owner": "",
        });
        if !self.annotations.is_empty() {
            state["annotations"] = json!(self.annotations);
        }
        state
    }
}

/// A process by its number and the moment of its start: no two have both.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// In ticks since the start of the machine.
    started: u64,
}

impl Identity {
    /// That of a process that is there.
    pub(crate) fn of(pid: i32) -> Result<Self> {
        let procfs = Procfs::open().doing(|| "open /proc")?;
        let stat = procfs.read(&format!("{pid}/stat"));
        let stat = stat.doing(|| format!("look at the process {pid}"))?;
        let (_, started) = state_and_start(&stat).unwrap_or_default();
        Ok(Self { pid, started })
    }

    /// Whether it still runs: one that has ended and waits for its parent does not.
    pub(crate) fn is_alive(&self) -> Result<bool> {
        let procfs = Procfs::open().doing(|| "open /proc")?;
        let Ok(stat) = procfs.read(&format!("{}/stat", self.pid)) else { return Ok(false) };
        Ok(match state_and_start(&stat) {
            Some((state, started)) => started == self.started && !matches!(state, 'Z' | 'X'),
            None => false,
        })
    }
}

/// The third and the twenty-second field; the second, a name in brackets, may hold anything.
fn state_and_start(stat: &str) -> Option<(char, u64)> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    Some((fields.next()?.chars().next()?, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_does_not_confuse() {
        let stat = "7 (a) Z 1 (b)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 9 9";
        assert_eq!(state_and_start(stat), Some(('S', 12345)));
    }

    #[test]
    fn this_process_is_alive_and_an_earlier_one_of_its_number_is_not() {
        let identity = Identity::of(std::process::id() as i32).unwrap();
        assert!(identity.is_alive().unwrap());
        let earlier = Identity { started: identity.started - 1, ..identity };
        assert!(!earlier.is_alive().unwrap());
    }
}
