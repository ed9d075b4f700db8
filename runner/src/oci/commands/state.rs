//! `state`.

use super::super::Result;
use super::super::container::{self, ContainerId};
use super::{Context, print};

pub(super) fn state(context: &Context<'_>, id: &ContainerId) -> Result<()> {
    let (record, status) = container::look(context.root, id)?;
    print(&format!("{:#}\n", record.state(status)))
}
