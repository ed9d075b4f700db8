//! `ps`.

use std::process::Command;

use super::super::Result;
use super::super::arguments::ListFormat;
use super::super::container::{self, ContainerId};
use super::super::error::{Doing as _, Error};
use super::{Context, print};

pub(super) fn ps(
    context: &Context<'_>,
    id: &ContainerId,
    format: ListFormat,
    options: &[String],
) -> Result<()> {
    let (record, _) = container::look(context.root, id)?;
    let mut pids = record.cgroup.processes()?;
    pids.sort_unstable();
    match format {
        ListFormat::Json => print(&format!("{pids:?}\n")),
        ListFormat::Table => print(&table(&pids, options)?),
    }
}

/// The lines of the host's ps(1) that are about these processes.
fn table(pids: &[i32], options: &[String]) -> Result<String> {
    let mut command = Command::new("ps");
    if options.is_empty() {
        command.arg("-ef");
    }
    let output = command.args(options).output().doing(|| "run ps")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::invalid(format!("ps failed: {}", said.trim())));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let column = head
        .split_whitespace()
        .position(|name| name == "PID")
        .ok_or_else(|| Error::invalid("ps has to show PID, by which processes are found"))?;
    let is_of = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|pid| pid.parse().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    };
    let shown = std::iter::once(head).chain(lines.filter(is_of));
    Ok(shown.map(|line| format!("{line}\n")).collect())
}
