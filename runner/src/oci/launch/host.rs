//! What the host can do.

use std::fs;
use std::path::Path;

use rustix::thread::capabilities as held;

use super::super::Result;
use super::super::cgroups::Layout;
use super::super::error::Doing as _;
use super::super::plan::Host;

/// Asks it.
pub(in crate::oci) fn facts() -> Result<Host> {
    Ok(Host {
        cgroups: Layout::detect()?,
        capabilities: capabilities()?,
        apparmor: apparmor(),
        selinux: Path::new("/sys/fs/selinux/enforce").exists(),
    })
}

/// The capabilities that this process can hand on.
fn capabilities() -> Result<u64> {
    Ok(held(None).doing(|| "read the capabilities of this process")?.permitted.bits())
}

/// Whether AppArmor is there and switched on.
fn apparmor() -> bool {
    fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
}
