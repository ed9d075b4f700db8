//! `delete`.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;

use super::super::container::{ContainerId, Folder, Process, Record, Status};
use super::super::error::{Doing as _, Error};
use super::super::{Result, hooks, launch};
use super::Context;

pub(super) fn delete(context: &Context<'_>, id: &ContainerId, force: bool) -> Result<()> {
    let folder = match Folder::open(context.root, id) {
        Err(Error::NotFound(_)) if force => return Ok(()),
        other => other?,
    };
    let record = match folder.record() {
        Ok(record) => record,
        // A command that was killed at once has left no more than this.
        Err(_) if force => return folder.remove(),
        Err(error) => return Err(error),
    };
    match folder.status(&record)? {
        Status::Stopped => {}
        _ if force => end(&record)?,
        status => return Err(Error::Status { action: "delete", status }),
    }
    launch::unmount_shared(&record)?;
    record.cgroup.remove()?;
    hooks::run_and_warn(&record.hooks.poststop, &record.state(Status::Stopped), context.log);
    folder.remove()
}

/// Kills the first process and waits for its end.
fn end(record: &Record) -> Result<()> {
    let Some(identity) = &record.identity else { return Ok(()) };
    let Some(process) = Process::of(identity)? else { return Ok(()) };
    match process.signal(Signal::KILL) {
        Err(Error::NotRunning) => return Ok(()),
        other => other?,
    }
    if record.cgroup.is_frozen()? {
        record.cgroup.freeze(false)?;
    }
    let mut ended = [PollFd::new(&process.pidfd, PollFlags::IN)];
    poll(&mut ended, None).doing(|| "wait for the end of the container's process")?;
    Ok(())
}
