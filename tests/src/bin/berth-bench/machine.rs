//! The facts about the machine that a reader of numbers needs.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    pub(crate) system: String,
    pub(crate) kernel: String,
    /// What the servers write to.
    pub(crate) disk: String,
    /// How TCP decides what to send when.
    pub(crate) congestion_control: String,
    pub(crate) tools: Vec<String>,
}

impl Machine {
    /// Looks around; what cannot be found out stays empty.
    pub(crate) fn look(work: &Path) -> Self {
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: field("/proc/meminfo", "MemTotal")
                .split(' ')
                .next()
                .and_then(|kib| kib.parse::<u64>().ok())
                .unwrap_or(0)
                / 1024,
            system: field("/etc/os-release", "PRETTY_NAME").trim_matches('"').to_owned(),
            kernel: first_line(Command::new("uname").args(["--kernel-name", "--kernel-release"])),
            disk: first_line(
                Command::new("findmnt")
                    .args(["--noheadings", "--output", "FSTYPE,SOURCE", "--target"])
                    .arg(work),
            ),
            congestion_control: contents("/proc/sys/net/ipv4/tcp_congestion_control"),
            tools: [("wrk", "-v"), ("openssl", "version")]
                .map(|(tool, version)| first_words(Command::new(tool).arg(version), 2))
                .into_iter()
                .filter(|version| !version.is_empty())
                .collect(),
        }
    }
}

/// Bytes that are free on the disk of a folder.
pub(crate) fn free_space(folder: &Path) -> Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail * disk.f_frsize)
}

/// The average number of runnable threads in the last minute.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

/// What a program says first, on either output; empty when there is no such program.
pub(crate) fn first_line(command: &mut Command) -> String {
    let Ok(output) = command.output() else { return String::new() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn contents(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn first_words(command: &mut Command, count: usize) -> String {
    first_line(command).split(' ').take(count).collect::<Vec<_>>().join(" ")
}

/// The value behind `name` in a file of `name: value` or `name=value` lines.
fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .map(|rest| rest.trim_start_matches([' ', '\t', ':', '=']).trim().to_owned())
        .unwrap_or_default()
}
