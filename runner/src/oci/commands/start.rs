//! `start`.

use super::super::container::{ContainerId, Folder, Status};
use super::super::error::Error;
use super::super::{Result, hooks, init};
use super::Context;

pub(super) fn start(context: &Context<'_>, id: &ContainerId) -> Result<()> {
    let folder = Folder::open(context.root, id)?;
    let record = folder.record()?;
    match folder.status(&record)? {
        Status::Created => {}
        status => return Err(Error::Status { action: "start", status }),
    }
    let socket = folder.start_socket();
    let started = init::start(&socket);
    folder.started()?;
    started?;
    hooks::run_and_warn(&record.hooks.poststart, &record.state(Status::Running), context.log);
    Ok(())
}
