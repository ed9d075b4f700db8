//! The order in which the kernel lists the mounts of a container.
//!
//! It lists them by when they came to be (since Linux 6.8), and trees of the host's are opened before there is a process
//! that could make file systems, so all of those would stand behind them. A copy of the whole is made from top to
//! bottom, and each mount after those that were mounted before it beside it. What was copied goes with the root of the
//! host, so nothing is waited for.

use std::os::fd::AsFd as _;

use super::super::Result;
use super::super::error::Doing as _;
use super::super::kernel::mount::{Attributes, attach, copy_of_open, set_attributes};
use super::super::kernel::root::RootDirectory;
use super::super::plan::{MountPlan, RootPlan};
use super::rootfs::directory;

/// Mounts a copy of the root over it, whose mounts are in the order of the configuration.
pub(super) fn renew(root: RootDirectory, plan: &RootPlan) -> Result<RootDirectory> {
    if plan.propagation == libc::MS_UNBINDABLE {
        // It cannot be copied.
        return Ok(root);
    }
    let doing = || "copy the mounts of the container";
    propagate(&root, plan, libc::MS_PRIVATE)?;
    let copy = copy_of_open(root.as_fd(), true).doing(doing)?;
    // Whatever happens to the original does not happen to the copy.
    let private = Attributes { propagation: libc::MS_PRIVATE, ..Attributes::default() };
    set_attributes(root.as_fd(), private, true).doing(doing)?;
    attach(&copy, directory(&plan.path)?).doing(doing)?;
    let copy = RootDirectory::new(copy);
    propagate(&copy, plan, libc::MS_UNBINDABLE)?;
    Ok(copy)
}

/// Has the mounts that are to be unbindable be so, or not yet.
fn propagate(root: &RootDirectory, plan: &RootPlan, propagation: u64) -> Result<()> {
    for MountPlan { destination, attributes, recursive_attributes, .. } in &plan.mounts {
        for (wanted, recursive) in [(recursive_attributes, true), (attributes, false)] {
            if wanted.propagation != libc::MS_UNBINDABLE {
                continue;
            }
            let doing = || format!("set the propagation of {}", destination.display());
            let mount = root.look_up(destination).doing(doing)?;
            let attributes = Attributes { propagation, ..Attributes::default() };
            set_attributes(mount.as_fd(), attributes, recursive).doing(doing)?;
        }
    }
    Ok(())
}
