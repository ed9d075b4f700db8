//! `kill`.

use super::super::Result;
use super::super::config::linux::NamespaceKind;
use super::super::container::{self, ContainerId, Process, Record};
use super::super::error::Error;
use super::super::kernel::signals;
use super::Context;

pub(super) fn kill(context: &Context<'_>, id: &ContainerId, signal: &str, all: bool) -> Result<()> {
    let signal = signals::parse(signal)?;
    let (record, _) = container::look(context.root, id)?;
    if all {
        return record.cgroup.signal(signal);
    }
    let process = running(&record)?;
    // Without a pid namespace the others do not end with the first.
    let is_kill = signal == rustix::process::Signal::KILL;
    if is_kill && !record.namespaces.contains(&NamespaceKind::Pid) {
        return record.cgroup.signal(signal);
    }
    process.signal(signal)?;
    // Whoever is paused would not end before it is resumed.
    if is_kill && record.cgroup.is_frozen()? {
        record.cgroup.freeze(false)?;
    }
    Ok(())
}

fn running(record: &Record) -> Result<Process> {
    match &record.identity {
        Some(identity) => Process::of(identity)?.ok_or(Error::NotRunning),
        None => Err(Error::NotRunning),
    }
}
