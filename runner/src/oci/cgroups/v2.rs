//! Version 2: one tree, whose controllers are handed down folder by folder.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::Result;
use super::super::config::resources::{
    BlockIo, Cpu, DeviceRule, Memory, Resources, ThrottleDevice,
};
use super::super::error::{Doing as _, Error};
use super::layout::{Place, Tree};
use super::{View, device_program, files};

/// Seconds that a freeze may take.
const FREEZE_SECONDS: i64 = 2;

/// A folder of the tree.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Cgroup {
    mount: PathBuf,
    path: PathBuf,
}

impl Cgroup {
    pub(super) fn at(tree: &Tree, place: &Place) -> Self {
        Self { mount: tree.mount.clone(), path: place.within(tree) }
    }

    pub(super) fn create(&self, resources: &Resources) -> Result<()> {
        self.make()?;
        let rules: Vec<DeviceRule> =
            resources.devices.iter().cloned().chain(device_program::always_allowed()).collect();
        device_program::attach(self.entrance()?.as_fd(), &rules)
            .doing(|| "restrict the devices of the cgroup")?;
        self.write_limits(resources)
    }

    /// Makes the folders on the way, and hands each the controllers of the one above.
    fn make(&self) -> Result<()> {
        let below = self.path.strip_prefix(&self.mount).unwrap_or(Path::new(""));
        let mut parent = self.mount.clone();
        for component in below.components() {
            let controllers = files::read(&parent, "cgroup.controllers")?;
            for controller in controllers.split_whitespace() {
                // One that cannot be had, for processes in the way, is missed by who needs it.
                let _ =
                    files::try_write(&parent, "cgroup.subtree_control", &format!("+{controller}"));
            }
            parent.push(component);
            match fs::create_dir(&parent) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => other.doing(|| format!("make the cgroup {}", parent.display()))?,
            }
        }
        Ok(())
    }

    pub(super) fn update(&self, resources: &Resources) -> Result<()> {
        if !resources.devices.is_empty() {
            return Err(Error::unsupported(
                "devices of a container cannot be changed while it is there, with cgroups of version 2",
            ));
        }
        self.write_limits(resources)
    }

    fn write_limits(&self, resources: &Resources) -> Result<()> {
        for (name, value) in limits(resources)? {
            files::write(&self.path, &name, value)?;
        }
        Ok(())
    }

    pub(super) fn entrance(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(&self.path, flags, Mode::empty()).doing(|| format!("open {}", self.path.display()))
    }

    pub(super) fn view(&self) -> View {
        View { name: String::new(), path: self.path.clone(), links: Vec::new() }
    }

    pub(super) fn processes(&self) -> Result<Vec<i32>> {
        files::processes(&self.path)
    }

    pub(super) fn is_frozen(&self) -> Result<bool> {
        Ok(files::number(&self.path, "cgroup.freeze") == 1)
    }

    pub(super) fn freeze(&self, frozen: bool) -> Result<()> {
        if !self.path.exists() {
            return Ok(());
        }
        files::write(&self.path, "cgroup.freeze", if frozen { "1" } else { "0" })?;
        let wanted = u64::from(frozen);
        let events = self.path.join("cgroup.events");
        let events = fs::File::open(&events).doing(|| format!("open {}", events.display()))?;
        let patience = Timespec { tv_sec: FREEZE_SECONDS, tv_nsec: 0 };
        while files::keyed(&self.path, "cgroup.events", "frozen") != wanted {
            let mut changes = [PollFd::new(&events, PollFlags::PRI)];
            if poll(&mut changes, Some(&patience)).doing(|| "wait for the cgroup")? == 0 {
                return Err(Error::unsupported("a process of the container does not stop"));
            }
        }
        Ok(())
    }

    /// Kills all that is in it at once. `false` on kernels that cannot.
    pub(super) fn kill(&self) -> Result<bool> {
        match files::try_write(&self.path, "cgroup.kill", "1") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(!self.path.exists()),
            other => other.map(|()| true).doing(|| "kill the cgroup"),
        }
    }

    pub(super) fn try_remove(&self) -> Result<bool> {
        files::try_remove(&self.path)
    }

    pub(super) fn memory_kills(&self) -> u64 {
        files::keyed(&self.path, "memory.events", "oom_kill")
    }

    pub(super) fn statistics(&self) -> Value {
        let number = |name| files::number(&self.path, name);
        let limit = |name| match number(name) {
            u64::MAX => 0,
            limit => limit,
        };
        // In microseconds there, in nanoseconds here.
        let time = |key| files::keyed(&self.path, "cpu.stat", key) * 1000;
        json!({
            "cpu": {
                "usage": {
                    "total": time("usage_usec"),
                    "kernel": time("system_usec"),
                    "user": time("user_usec"),
                },
                "throttling": {
                    "periods": files::keyed(&self.path, "cpu.stat", "nr_periods"),
                    "throttledPeriods": files::keyed(&self.path, "cpu.stat", "nr_throttled"),
                    "throttledTime": time("throttled_usec"),
                },
            },
            "memory": {
                "cache": files::keyed(&self.path, "memory.stat", "file"),
                "usage": {
                    "limit": number("memory.max"),
                    "usage": number("memory.current"),
                    "max": number("memory.peak"),
                    "failcnt": files::keyed(&self.path, "memory.events", "max"),
                },
                "raw": files::table(&self.path, "memory.stat"),
            },
            "pids": { "current": number("pids.current"), "limit": limit("pids.max") },
        })
    }
}

/// The files of the limits, and what to write into them, in order.
fn limits(resources: &Resources) -> Result<Vec<(String, String)>> {
    let mut limits = Limits::default();
    limits.cpu(&resources.cpu);
    limits.memory(&resources.memory)?;
    if let Some(limit) = resources.pids.limit {
        limits.add("pids.max", if limit > 0 { limit.to_string() } else { "max".into() });
    }
    limits.block_io(&resources.block_io);
    for limit in &resources.hugepage_limits {
        limits.add(format!("hugetlb.{}.max", limit.page_size), limit.limit.to_string());
    }
    if resources.network.class_id.is_some() || !resources.network.priorities.is_empty() {
        return Err(Error::unsupported(
            "linux.resources.network: cgroups of version 2 have no such thing",
        ));
    }
    for (name, value) in &resources.unified {
        if name.contains('/') {
            return Err(Error::invalid(format!(
                "linux.resources.unified: {name:?} is no file's name"
            )));
        }
        limits.add(name, value.clone());
    }
    Ok(limits.0)
}

#[derive(Default)]
struct Limits(Vec<(String, String)>);

impl Limits {
    fn add(&mut self, name: impl Into<String>, value: String) {
        self.0.push((name.into(), value));
    }

    fn cpu(&mut self, cpu: &Cpu) {
        if let Some(shares) = cpu.shares.filter(|&shares| shares != 0) {
            // 2..=262144 to 1..=10000, as every runtime does it.
            let shares = shares.clamp(2, 262_144);
            self.add("cpu.weight", (1 + (shares - 2) * 9999 / 262_142).to_string());
        }
        if let Some(idle) = cpu.idle {
            self.add("cpu.idle", idle.to_string());
        }
        let quota = cpu.quota.filter(|&quota| quota != 0);
        let period = cpu.period.filter(|&period| period != 0);
        if quota.is_some() || period.is_some() {
            let quota = match quota {
                Some(quota) if quota > 0 => quota.to_string(),
                _ => "max".to_owned(),
            };
            self.add("cpu.max", format!("{quota} {}", period.unwrap_or(100_000)));
        }
        if let Some(burst) = cpu.burst {
            self.add("cpu.max.burst", burst.to_string());
        }
        for (name, list) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
            if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
                self.add(name, list.clone());
            }
        }
    }

    fn memory(&mut self, memory: &Memory) -> Result<()> {
        let bytes = |bytes: i64| if bytes < 0 { "max".to_owned() } else { bytes.to_string() };
        let limit = memory.limit.filter(|&limit| limit != 0);
        if let Some(swap) = memory.swap.filter(|&swap| swap != 0) {
            // It counts memory and swap together there, and swap alone here.
            let swap = match limit {
                _ if swap < 0 => swap,
                Some(limit) if limit > 0 && swap >= limit => swap - limit,
                _ => {
                    return Err(Error::invalid(
                        "linux.resources.memory: swap needs a limit that is no more than it",
                    ));
                }
            };
            self.add("memory.swap.max", bytes(swap));
        }
        if let Some(limit) = limit {
            self.add("memory.max", bytes(limit));
        }
        if let Some(reservation) = memory.reservation.filter(|&reservation| reservation != 0) {
            self.add("memory.low", bytes(reservation));
        }
        Ok(())
    }

    fn block_io(&mut self, block_io: &BlockIo) {
        if let Some(weight) = block_io.weight.filter(|&weight| weight != 0) {
            // 10..=1000 to 1..=10000.
            let weight = u64::from(weight.clamp(10, 1000));
            self.add("io.weight", format!("default {}", 1 + (weight - 10) * 9999 / 990));
        }
        let throttles: [(&str, &[ThrottleDevice]); 4] = [
            ("rbps", &block_io.throttle_read_bps_device),
            ("wbps", &block_io.throttle_write_bps_device),
            ("riops", &block_io.throttle_read_iops_device),
            ("wiops", &block_io.throttle_write_iops_device),
        ];
        for (key, devices) in throttles {
            for device in devices {
                self.add(
                    "io.max",
                    format!("{}:{} {key}={}", device.major, device.minor, device.rate),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Vec<(String, String)> {
        limits(&serde_json::from_str(text).unwrap()).unwrap()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn numbers_of_version_1_become_those_of_version_2() {
        assert_eq!(
            written(
                r#"{"cpu": {"shares": 1024, "quota": 50000}, "pids": {"limit": -1},
                    "memory": {"limit": 1000, "swap": 3000, "reservation": 500},
                    "blockIO": {"weight": 1000}}"#
            ),
            pairs(&[
                ("cpu.weight", "39"),
                ("cpu.max", "50000 100000"),
                ("memory.swap.max", "2000"),
                ("memory.max", "1000"),
                ("memory.low", "500"),
                ("pids.max", "max"),
                ("io.weight", "default 10000"),
            ])
        );
    }

    #[test]
    fn swap_that_is_less_than_memory_is_refused() {
        let resources =
            serde_json::from_str(r#"{"memory": {"limit": 3000, "swap": 1000}}"#).unwrap();
        assert!(limits(&resources).is_err());
    }

    #[test]
    fn a_file_elsewhere_cannot_be_written() {
        let resources = serde_json::from_str(r#"{"unified": {"../cgroup.procs": "1"}}"#).unwrap();
        assert!(limits(&resources).is_err());
    }
}
