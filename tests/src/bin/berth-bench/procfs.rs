//! What the kernel says of a server's processes.

use std::collections::HashSet;
use std::fs;

use anyhow::{Context as _, Result};

use crate::settings::MIB;

/// A server's first process and all that come from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    leader: u32,
}

/// The memory of a group, in MiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) resident: f64,
    /// The part of it that no file backs.
    pub(crate) anonymous: f64,
    /// The most that was resident since the last [`Group::reset_peak`].
    pub(crate) peak: f64,
}

impl Group {
    pub(crate) fn new(leader: u32) -> Self {
        Self { leader }
    }

    /// Whoever listens on a TCP port of this machine, if we may look.
    pub(crate) fn listening_on(port: u16) -> Option<Self> {
        let sockets = listening_sockets(port);
        let mut processes: Vec<u32> = fs::read_dir("/proc")
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|&process| holds_one_of(process, &sockets))
            .collect();
        processes.sort_unstable();
        processes.first().map(|&leader| Self { leader })
    }

    /// Seconds of processor time that all processes have taken, in user mode and in the kernel.
    pub(crate) fn cpu_seconds(self) -> Result<f64> {
        self.members().into_iter().map(cpu_seconds).sum()
    }

    pub(crate) fn memory(self) -> Result<Memory> {
        let mut sum = Memory::default();
        for process in self.members() {
            let status = fs::read_to_string(format!("/proc/{process}/status"))?;
            sum.resident += mebibytes(&status, "VmRSS:");
            sum.anonymous += mebibytes(&status, "RssAnon:");
            sum.peak += mebibytes(&status, "VmHWM:");
        }
        Ok(sum)
    }

    /// Forgets the peaks of memory so far.
    pub(crate) fn reset_peak(self) -> Result<()> {
        for process in self.members() {
            fs::write(format!("/proc/{process}/clear_refs"), "5")?;
        }
        Ok(())
    }

    fn members(self) -> Vec<u32> {
        let mut members = vec![self.leader];
        let mut next = 0;
        while let Some(&process) = members.get(next) {
            members.extend(children(process));
            next += 1;
        }
        members
    }
}

/// Seconds of processor time of this process.
pub(crate) fn own_cpu_seconds() -> Result<f64> {
    cpu_seconds(std::process::id())
}

fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))
        .with_context(|| format!("process {process} is gone"))?;
    let ticks = parse_ticks(&stat).with_context(|| format!("cannot read {stat:?}"))?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The sum of `utime` and `stime`. The command's name, which may hold anything, stands in parentheses.
fn parse_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn children(process: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<u32>>())
        .collect()
}

fn mebibytes(status: &str, name: &str) -> f64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let kib: f64 = value.trim().trim_end_matches(" kB").parse().unwrap_or(0.0);
    kib * 1024.0 / MIB as f64
}

/// The inodes of the sockets that listen on the port.
fn listening_sockets(port: u16) -> HashSet<String> {
    const LISTEN: &str = "0A";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let suffix = format!(":{port:04X}");
    tables
        .iter()
        .flatten()
        .flat_map(|table| table.lines().skip(1))
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|f| f.len() > 9 && f[1].ends_with(&suffix) && f[3] == LISTEN)
        .map(|fields| format!("socket:[{}]", fields[9]))
        .collect()
}

fn holds_one_of(process: u32, sockets: &HashSet<String>) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|target| target.to_str().is_some_and(|target| sockets.contains(target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a) b 1 2) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 9 9 20 0 3 0";
        assert_eq!(parse_ticks(stat), Some(300));
    }

    #[test]
    fn the_process_that_listens_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let group = Group::listening_on(listener.local_addr().unwrap().port()).unwrap();
        assert_eq!(group.leader, std::process::id());
    }

    #[test]
    fn a_peak_is_forgotten_on_demand() {
        let group = Group::new(std::process::id());
        let hoard = std::hint::black_box(vec![1u8; 64 << 20]);
        let with = group.memory().unwrap().peak;
        drop(hoard);
        group.reset_peak().unwrap();
        assert!(group.memory().unwrap().peak < with - 32.0);
    }
}
