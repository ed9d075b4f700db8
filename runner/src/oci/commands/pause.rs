//! `pause` and `resume`.

use super::super::Result;
use super::super::container::{ContainerId, Folder, Status};
use super::super::error::Error;
use super::Context;

pub(super) fn pause(context: &Context<'_>, id: &ContainerId) -> Result<()> {
    change(context, id, "pause", &[Status::Running, Status::Created], true)
}

pub(super) fn resume(context: &Context<'_>, id: &ContainerId) -> Result<()> {
    change(context, id, "resume", &[Status::Paused], false)
}

fn change(
    context: &Context<'_>,
    id: &ContainerId,
    action: &'static str,
    from: &[Status],
    frozen: bool,
) -> Result<()> {
    let folder = Folder::open(context.root, id)?;
    let record = folder.record()?;
    let status = folder.status(&record)?;
    if from.contains(&status) {
        record.cgroup.freeze(frozen)
    } else {
        Err(Error::Status { action, status })
    }
}
