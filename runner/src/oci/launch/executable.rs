//! The runtime's own program file, which a container sees while its process is still ours: what is
//! executed as `/proc/self/exe` there is this file, and could be written to once it no longer runs
//! (CVE-2019-5736). So it is executed from a mount that cannot be written to, by anybody.

use std::ffi::{CString, OsString};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::super::Result;
use super::super::error::{Doing as _, Error};
use super::super::kernel::mount::{Attributes, copy_of, set_attributes};
use super::super::kernel::task::execute_open;

const READ_ONLY: u64 = 0x1;

/// Executes this program again with the same arguments, from a mount of its own that is read-only.
/// Returns where that is so already.
pub(in crate::oci) fn make_read_only() -> Result<()> {
    let own = Path::new("/proc/self/exe");
    let mount = statvfs(own).doing(|| "look at the runtime's own program file")?;
    if mount.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(());
    }
    let copy = copy_of(own, false).doing(|| "mount the runtime's own program file")?;
    let attributes = Attributes { set: READ_ONLY, ..Attributes::default() };
    set_attributes(copy.as_fd(), attributes, false)
        .doing(|| "protect the runtime's own program file")?;
    let args = c_strings(std::env::args_os())?;
    let env = c_strings(std::env::vars_os().map(|(name, value)| {
        let mut pair = name;
        pair.push("=");
        pair.push(value);
        pair
    }))?;
    let error = execute_open(&copy, &args, &env);
    Err(error).doing(|| "execute the runtime from where it cannot be written to")
}

fn c_strings(strings: impl Iterator<Item = OsString>) -> Result<Vec<CString>> {
    strings
        .map(|string| {
            CString::new(string.into_vec())
                .map_err(|_| Error::invalid("an argument has a zero byte in it"))
        })
        .collect()
}
