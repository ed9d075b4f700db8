//! Version 1: a tree for each controller. What runc writes is written, in its order.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread::sleep;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::Result;
use super::super::config::resources::{
    BlockIo, Cpu, DeviceRule, Memory, Network, Resources, RuleKind, ThrottleDevice,
};
use super::super::error::{Doing as _, Error};
use super::layout::{Place, Tree};
use super::{PAUSE, TRIES, View, files};

/// A folder in each tree.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Cgroup {
    folders: Vec<Folder>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Folder {
    controllers: Vec<String>,
    mount: PathBuf,
    path: PathBuf,
}

impl Cgroup {
    pub(super) fn at(trees: &[Tree], place: &Place) -> Self {
        let folder = |tree: &Tree| Folder {
            controllers: tree.controllers.clone(),
            mount: tree.mount.clone(),
            path: place.within(tree),
        };
        Self { folders: trees.iter().map(folder).collect() }
    }

    pub(super) fn create(&self, resources: &Resources) -> Result<()> {
        for folder in &self.folders {
            let made = fs::create_dir_all(&folder.path);
            made.doing(|| format!("make the cgroup {}", folder.path.display()))?;
        }
        if let Ok(folder) = self.folder("cpuset") {
            inherit_cpuset(folder)?;
        }
        if let Ok(folder) = self.folder("devices") {
            write_devices(&folder.path, &resources.devices)?;
        }
        self.write_limits(resources)
    }

    pub(super) fn update(&self, resources: &Resources) -> Result<()> {
        if !resources.devices.is_empty() {
            write_devices(&self.folder("devices")?.path, &resources.devices)?;
        }
        self.write_limits(resources)
    }

    fn write_limits(&self, resources: &Resources) -> Result<()> {
        if !resources.unified.is_empty() {
            return Err(Error::unsupported(
                "linux.resources.unified: this host has cgroups of version 1",
            ));
        }
        self.write_cpu(&resources.cpu)?;
        self.write_memory(&resources.memory)?;
        if let Some(limit) = resources.pids.limit {
            let limit = if limit > 0 { limit.to_string() } else { "max".to_owned() };
            files::write(&self.folder("pids")?.path, "pids.max", limit)?;
        }
        self.write_block_io(&resources.block_io)?;
        for limit in &resources.hugepage_limits {
            let name = format!("hugetlb.{}.limit_in_bytes", limit.page_size);
            files::write(&self.folder("hugetlb")?.path, &name, limit.limit.to_string())?;
        }
        self.write_network(&resources.network)
    }

    fn write_cpu(&self, cpu: &Cpu) -> Result<()> {
        let write = |controller, name, value: Option<String>| match value {
            Some(value) => files::write(&self.folder(controller)?.path, name, value),
            None => Ok(()),
        };
        write("cpuset", "cpuset.cpus", cpu.cpus.clone().filter(|list| !list.is_empty()))?;
        write("cpuset", "cpuset.mems", cpu.mems.clone().filter(|list| !list.is_empty()))?;
        write("cpu", "cpu.shares", cpu.shares.filter(|&shares| shares != 0).map(text))?;
        write("cpu", "cpu.rt_period_us", cpu.realtime_period.filter(|&us| us != 0).map(text))?;
        write("cpu", "cpu.rt_runtime_us", cpu.realtime_runtime.filter(|&us| us != 0).map(text))?;
        let period = cpu.period.filter(|&us| us != 0).map(text);
        let quota = cpu.quota.filter(|&us| us != 0).map(text);
        match (write("cpu", "cpu.cfs_period_us", period.clone()), &quota) {
            // A shorter period may be too short for the quota that is there still.
            (Err(_), Some(_)) => {
                write("cpu", "cpu.cfs_quota_us", quota.clone())?;
                write("cpu", "cpu.cfs_period_us", period)?;
            }
            (result, _) => result?,
        }
        write("cpu", "cpu.cfs_quota_us", quota)?;
        write("cpu", "cpu.cfs_burst_us", cpu.burst.map(text))?;
        write("cpu", "cpu.idle", cpu.idle.map(text))
    }

    fn write_memory(&self, memory: &Memory) -> Result<()> {
        let wanted = [memory.limit, memory.swap, memory.reservation].iter().any(Option::is_some)
            || memory.swappiness.is_some()
            || memory.disable_oom_killer == Some(true);
        if !wanted {
            return Ok(());
        }
        let path = &self.folder("memory")?.path;
        let write = |name, value: Option<i64>| match value.filter(|&bytes| bytes != 0) {
            Some(value) => files::write(path, name, value.to_string()),
            None => Ok(()),
        };
        const LIMIT: &str = "memory.limit_in_bytes";
        const SWAP: &str = "memory.memsw.limit_in_bytes";
        // The kernel keeps the first at most the second at every moment, so which goes first depends
        // on whether they grow.
        if write(LIMIT, memory.limit).is_err() {
            write(SWAP, memory.swap)?;
            write(LIMIT, memory.limit)?;
        }
        write(SWAP, memory.swap)?;
        write("memory.soft_limit_in_bytes", memory.reservation)?;
        if let Some(swappiness) = memory.swappiness.filter(|&swappiness| swappiness <= 100) {
            files::write(path, "memory.swappiness", swappiness.to_string())?;
        }
        if memory.disable_oom_killer == Some(true) {
            files::write(path, "memory.oom_control", "1")?;
        }
        Ok(())
    }

    fn write_block_io(&self, block_io: &BlockIo) -> Result<()> {
        let write =
            |name: &str, value: String| files::write(&self.folder("blkio")?.path, name, value);
        if let Some(weight) = block_io.weight.filter(|&weight| weight != 0) {
            let path = &self.folder("blkio")?.path;
            // The first belongs to a scheduler that newer kernels do not have.
            let plain = files::try_write(path, "blkio.weight", &weight.to_string());
            if plain.is_err() {
                write("blkio.bfq.weight", weight.to_string())?;
            }
        }
        for device in &block_io.weight_device {
            if let Some(weight) = device.weight {
                let line = format!("{}:{} {weight}", device.major, device.minor);
                write("blkio.bfq.weight_device", line)?;
            }
        }
        let throttles: [(&str, &[ThrottleDevice]); 4] = [
            ("blkio.throttle.read_bps_device", &block_io.throttle_read_bps_device),
            ("blkio.throttle.write_bps_device", &block_io.throttle_write_bps_device),
            ("blkio.throttle.read_iops_device", &block_io.throttle_read_iops_device),
            ("blkio.throttle.write_iops_device", &block_io.throttle_write_iops_device),
        ];
        for (name, devices) in throttles {
            for device in devices {
                write(name, format!("{}:{} {}", device.major, device.minor, device.rate))?;
            }
        }
        Ok(())
    }

    fn write_network(&self, network: &Network) -> Result<()> {
        if let Some(class) = network.class_id {
            files::write(&self.folder("net_cls")?.path, "net_cls.classid", class.to_string())?;
        }
        for priority in &network.priorities {
            let line = format!("{} {}", priority.name, priority.priority);
            files::write(&self.folder("net_prio")?.path, "net_prio.ifpriomap", line)?;
        }
        Ok(())
    }

    pub(super) fn entrance(&self) -> Result<Vec<File>> {
        self.folders.iter().map(|folder| files::open_tasks(&folder.path)).collect()
    }

    pub(super) fn views(&self) -> Vec<View> {
        let name =
            |folder: &Folder| folder.mount.file_name().map(|name| name.to_string_lossy().into());
        let view = |folder: &Folder| {
            let shared = folder.controllers.len() > 1;
            let links = if shared { folder.controllers.clone() } else { Vec::new() };
            Some(View { name: name(folder)?, path: folder.path.clone(), links })
        };
        self.folders.iter().filter_map(view).collect()
    }

    pub(super) fn processes(&self) -> Result<Vec<i32>> {
        files::processes(&self.any()?.path)
    }

    pub(super) fn is_frozen(&self) -> Result<bool> {
        let Ok(folder) = self.folder("freezer") else { return Ok(false) };
        // A cgroup that is gone has nothing in it.
        let state = files::read(&folder.path, "freezer.state").unwrap_or_default();
        Ok(state == "FROZEN" || state == "FREEZING")
    }

    pub(super) fn freeze(&self, frozen: bool) -> Result<()> {
        let path = &self.folder("freezer")?.path;
        if !path.exists() {
            return Ok(());
        }
        let wanted = if frozen { "FROZEN" } else { "THAWED" };
        for _ in 0..TRIES {
            // Again each time: a process that was started meanwhile is not seen by the first.
            files::write(path, "freezer.state", wanted)?;
            if files::read(path, "freezer.state")? == wanted {
                return Ok(());
            }
            sleep(PAUSE);
        }
        files::write(path, "freezer.state", "THAWED")?;
        Err(Error::unsupported(
            "the processes of the container cannot be paused: one does not stop",
        ))
    }

    pub(super) fn try_remove(&self) -> Result<bool> {
        let mut all = true;
        for folder in &self.folders {
            all &= files::try_remove(&folder.path)?;
        }
        Ok(all)
    }

    pub(super) fn memory_kills(&self) -> u64 {
        self.folder("memory")
            .map_or(0, |folder| files::keyed(&folder.path, "memory.oom_control", "oom_kill"))
    }

    pub(super) fn statistics(&self) -> Value {
        let path = |controller| self.folder(controller).map(|folder| folder.path.clone());
        let number =
            |controller, name: &str| path(controller).map_or(0, |path| files::number(&path, name));
        let keyed = |controller, name, key| {
            path(controller).map_or(0, |path| files::keyed(&path, name, key))
        };
        // Ticks of 10 ms, which is what the kernel tells to programs everywhere.
        let ticks = |key| keyed("cpuacct", "cpuacct.stat", key) * 10_000_000;
        let memory = |prefix: &str| {
            let number = |name: &str| number("memory", &format!("memory.{prefix}{name}"));
            json!({
                "limit": number("limit_in_bytes"),
                "usage": number("usage_in_bytes"),
                "max": number("max_usage_in_bytes"),
                "failcnt": number("failcnt"),
            })
        };
        json!({
            "cpu": {
                "usage": {
                    "total": number("cpuacct", "cpuacct.usage"),
                    "kernel": ticks("system"),
                    "user": ticks("user"),
                },
                "throttling": {
                    "periods": keyed("cpu", "cpu.stat", "nr_periods"),
                    "throttledPeriods": keyed("cpu", "cpu.stat", "nr_throttled"),
                    "throttledTime": keyed("cpu", "cpu.stat", "throttled_time"),
                },
            },
            "memory": {
                "cache": keyed("memory", "memory.stat", "cache"),
                "usage": memory(""),
                "swap": memory("memsw."),
                "raw": path("memory").map(|path| files::table(&path, "memory.stat")).unwrap_or_default(),
            },
            "pids": {
                "current": number("pids", "pids.current"),
                "limit": match number("pids", "pids.max") { u64::MAX => 0, limit => limit },
            },
        })
    }

    fn folder(&self, controller: &str) -> Result<&Folder> {
        let has = |folder: &&Folder| folder.controllers.iter().any(|name| name == controller);
        self.folders.iter().find(has).ok_or_else(|| {
            Error::unsupported(format!(
                "the cgroup controller {controller} is not mounted on this host"
            ))
        })
    }

    /// One tree to ask for processes: they are the same in all.
    fn any(&self) -> Result<&Folder> {
        self.folder("freezer").or_else(|_| self.folder("pids")).or_else(|_| self.folder("devices"))
    }
}

fn text(number: impl ToString) -> String {
    number.to_string()
}

/// Nothing can run in a cgroup that has no processors and no memory, so each folder on the way gets
/// those of the one above.
fn inherit_cpuset(folder: &Folder) -> Result<()> {
    let below = folder.path.strip_prefix(&folder.mount).unwrap_or(Path::new(""));
    let mut parent = folder.mount.clone();
    for component in below.components() {
        let child = parent.join(component);
        for name in ["cpuset.cpus", "cpuset.mems"] {
            if files::read(&child, name)?.is_empty() {
                files::write(&child, name, files::read(&parent, name)?)?;
            }
        }
        parent = child;
    }
    Ok(())
}

/// Takes all devices away, and gives back what the rules say, in their order, and what every
/// container has.
fn write_devices(path: &Path, rules: &[DeviceRule]) -> Result<()> {
    let allow = files::Lines::open(path, "devices.allow")?;
    let deny = files::Lines::open(path, "devices.deny")?;
    let write = |rule: &DeviceRule| if rule.allow { &allow } else { &deny }.write(&line(rule));
    deny.write("a")?;
    rules.iter().try_for_each(write)?;
    super::device_program::always_allowed().iter().try_for_each(write)
}

fn line(rule: &DeviceRule) -> String {
    let number = |number: Option<i64>| match number {
        Some(number) if number >= 0 => number.to_string(),
        _ => "*".to_owned(),
    };
    let access = if rule.access.is_empty() { "rwm" } else { &rule.access };
    let kind = match rule.kind {
        Some(RuleKind::Character) => 'c',
        Some(RuleKind::Block) => 'b',
        None | Some(RuleKind::All) => return "a *:* rwm".to_owned(),
    };
    format!("{kind} {}:{} {access}", number(rule.major), number(rule.minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_as_the_kernel_reads_them() {
        let rule = |text| serde_json::from_str::<DeviceRule>(text).unwrap();
        for (text, expected) in [
            (r#"{"allow": false, "access": "rwm"}"#, "a *:* rwm"),
            (r#"{"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rw"}"#, "c 1:3 rw"),
            (r#"{"allow": true, "type": "b", "major": 8}"#, "b 8:* rwm"),
            (r#"{"allow": true, "type": "c", "major": -1, "minor": -1, "access": "m"}"#, "c *:* m"),
        ] {
            assert_eq!(line(&rule(text)), expected);
        }
    }
}
