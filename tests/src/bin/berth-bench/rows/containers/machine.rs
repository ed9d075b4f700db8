//! Where containers are measured: in namespaces of the row's own, so that nothing of the machine's network is
//! touched, and what is mounted goes with the row.
#![allow(unsafe_code)]

use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::geteuid;
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Where cgroups of version 2 are mounted beside those of version 1. crun refuses to run where they are.
const UNIFIED: &str = "/sys/fs/cgroup/unified";

/// Does a row in a thread with a network and mounts of its own, which all that it starts has, too.
pub(super) fn apart<T: Send>(row: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    ensure!(geteuid().is_root(), "containers take root");
    thread::scope(|scope| {
        let inside = || {
            // SAFETY: both namespaces, and the working directory that comes with the second, belong to this thread
            // alone from here on; descriptors and memory stay as they are.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET | UnshareFlags::NEWNS)? };
            let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", flags).context("cannot keep mounts apart")?;
            if std::fs::exists(UNIFIED)? {
                unmount(UNIFIED, UnmountFlags::DETACH)?;
            }
            let up = Command::new("ip").args(["link", "set", "lo", "up"]).status()?;
            ensure!(up.success(), "the loopback cannot be brought up");
            row()
        };
        scope.spawn(inside).join().map_err(|_| anyhow!("the row has panicked"))?
    })
}

/// Has nothing of any file in memory.
pub(super) fn forget_files() -> Result<()> {
    rustix::fs::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "3").context("cannot drop the page cache")
}
