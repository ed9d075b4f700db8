//! The runtime's own program file, which a container sees while its process is still ours: what is
//! executed as `/proc/self/exe` there is this file, and could be written to once it no longer runs
//! (CVE-2019-5736). So it is executed from a mount that cannot be written to, by anybody.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsString, c_char, c_int};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::slice;

use rustix::fs::{Mode, OFlags, StatVfsMountFlags, open, statvfs};

use super::super::Result;
use super::super::error::{Doing as _, Error};
use super::super::kernel::mount::{Attributes, copy_of, set_attributes};
use super::super::kernel::task::{execute_open, execute_raw};

/// The commands whose process, or one that it clones, is in a container while it is still this program. To find one of
/// these words where it means something else is harmless.
const ENTERING: [&CStr; 3] = [c"create", c"run", c"exec"];

/// The program that this process is.
const OWN: &str = "/proc/self/exe";
const READ_ONLY: u64 = 0x1;
const PROTECTING: &str = "protect the runtime's own program file";

/// Executes this program again with the same arguments, from a mount of its own that is read-only.
/// Returns where that is so already.
pub(in crate::oci) fn make_read_only() -> Result<()> {
    if is_read_only().doing(|| "look at the runtime's own program file")? {
        return Ok(());
    }
    let copy = read_only_copy().doing(|| PROTECTING)?;
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

fn is_read_only() -> io::Result<bool> {
    Ok(statvfs(OWN)?.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Our own program file by a mount that cannot be written to, for whoever starts it: what is executed by this need not
/// execute itself again.
pub(in crate::oci) fn read_only() -> Result<OwnedFd> {
    // A mount that only this process has cannot be copied before Linux 6.15.
    let opened = match is_read_only() {
        Ok(true) => open(OWN, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(Into::into),
        Ok(false) => read_only_copy(),
        Err(error) => Err(error),
    };
    opened.doing(|| PROTECTING)
}

/// The program file on a mount of its own.
fn read_only_copy() -> io::Result<OwnedFd> {
    let copy = copy_of(Path::new(OWN), false)?;
    let attributes = Attributes { set: READ_ONLY, ..Attributes::default() };
    set_attributes(copy.as_fd(), attributes, false)?;
    Ok(copy)
}

/// Executes this program again from a mount of its own that is read-only, if its arguments are those of a command of
/// `berth oci` that needs it, or of `berth exec`, which is one.
///
/// The commands do so by themselves. Done before `main`, what a program of this size does before it comes to its own
/// code is not done twice. What fails here is left to the commands, which can tell it.
///
/// # Safety
///
/// It is for the C library to call, with the arguments of the process, their number, and its environment: both arrays end
/// in a null pointer, and all before point to C strings. Nothing else may run yet.
pub unsafe extern "C" fn make_read_only_early(
    count: c_int,
    args: *const *const c_char,
    env: *const *const c_char,
) {
    // SAFETY: as the caller has promised; there are `count` before the null pointer.
    let words = unsafe { slice::from_raw_parts(args, usize::try_from(count).unwrap_or(0)) };
    // SAFETY: as the caller has promised.
    let words = words.iter().map(|word| unsafe { CStr::from_ptr(*word) });
    if !enters_container(words) || is_read_only().unwrap_or(true) {
        return;
    }
    if let Ok(copy) = read_only_copy() {
        // SAFETY: as the caller has promised.
        unsafe { execute_raw(copy.as_fd(), args, env) };
    }
}

fn enters_container<'words>(mut words: impl Iterator<Item = &'words CStr>) -> bool {
    match words.nth(1) {
        Some(word) if word == c"oci" => words.any(|word| ENTERING.contains(&word)),
        word => word == Some(c"exec"),
    }
}

fn c_strings(strings: impl Iterator<Item = OsString>) -> Result<Vec<CString>> {
    strings
        .map(|string| {
            CString::new(string.into_vec())
                .map_err(|_| Error::invalid("an argument has a zero byte in it"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(words: &[&CStr]) -> bool {
        enters_container(words.iter().copied())
    }

    #[test]
    fn the_commands_that_enter_containers_are_known_by_their_words() {
        assert!(asks(&[c"berth", c"oci", c"run", c"--bundle", c"/b", c"id"]));
        assert!(asks(&[
            c"/usr/bin/berth",
            c"oci",
            c"--root",
            c"/r",
            c"--debug",
            c"exec",
            c"id",
            c"sh"
        ]));
        assert!(asks(&[c"berth", c"exec", c"-it", c"box", c"sh"]));
        assert!(!asks(&[c"berth", c"oci", c"state", c"id"]));
        assert!(!asks(&[c"berth", c"run", c"--rm", c"busybox"]));
        assert!(!asks(&[c"berth", c"oci"]));
        assert!(!asks(&[c"berth"]));
        assert!(!asks(&[]));
    }
}
