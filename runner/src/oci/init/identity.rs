//! Who the process is and what it may do.

use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, Gid, Mode, Uid, fchown, fstat, major, minor};
use rustix::process::umask;
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::super::Result;
use super::super::error::Doing as _;
use super::super::plan::{CapabilityPlan, ProcessPlan};

/// Bits that kernels may have; those that one has not are refused by it without harm.
const LAST_CAPABILITY: u32 = 40;

/// Root of the user namespace that this process is in.
pub(super) fn become_root() -> Result<()> {
    let (uid, gid) = (Uid::ROOT, Gid::ROOT);
    set_thread_res_gid(gid, gid, gid).doing(|| "become root of the user namespace: no gid 0")?;
    set_thread_res_uid(uid, uid, uid).doing(|| "become root of the user namespace: no uid 0")
}

/// Becomes who the plan says, with `spare` capabilities besides those of the plan until
/// [`settle`].
pub(super) fn assume(process: &ProcessPlan, spare: CapabilitySet) -> Result<()> {
    let capabilities = process.capabilities;
    for number in 0..=LAST_CAPABILITY {
        let bit = 1_u64 << number;
        if capabilities.bounding & bit == 0 {
            match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(bit)) {
                Err(rustix::io::Errno::INVAL) => {}
                other => other.doing(|| "restrict the capabilities that can be had")?,
            }
        }
    }
    own_standard_streams(process.uid);
    set_keep_capabilities(true).doing(|| "keep the capabilities")?;
    let groups: Vec<Gid> = process.groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
    set_thread_groups(&groups).doing(|| "set the additional groups")?;
    let (uid, gid) = (Uid::from_raw(process.uid), Gid::from_raw(process.gid));
    set_thread_res_gid(gid, gid, gid).doing(|| format!("become the group {}", process.gid))?;
    set_thread_res_uid(uid, uid, uid).doing(|| format!("become the user {}", process.uid))?;
    set_keep_capabilities(false).doing(|| "keep no capabilities")?;
    set(capabilities, spare)?;
    clear_ambient_capability_set().doing(|| "clear the ambient capabilities")?;
    for number in 0..=LAST_CAPABILITY {
        let bit = 1_u64 << number;
        // The kernel takes only what is permitted and inheritable, too.
        if capabilities.ambient & capabilities.permitted & capabilities.inheritable & bit != 0 {
            configure_capability_in_ambient_set(CapabilitySet::from_bits_retain(bit), true)
                .doing(|| "set the ambient capabilities")?;
        }
    }
    umask(Mode::from_raw_mode(process.umask.unwrap_or(0o022)));
    Ok(())
}

/// Has no more capabilities than those of the plan.
pub(super) fn settle(process: &ProcessPlan) -> Result<()> {
    set(process.capabilities, CapabilitySet::empty())
}

fn set(plan: CapabilityPlan, spare: CapabilitySet) -> Result<()> {
    let bits = CapabilitySet::from_bits_retain;
    let sets = CapabilitySets {
        effective: bits(plan.effective) | spare,
        permitted: bits(plan.permitted) | spare,
        inheritable: bits(plan.inheritable),
    };
    set_capabilities(None, sets).doing(|| "set the capabilities")
}

/// What the process was given to write to must be its own to be opened again as `/dev/stdout`. The
/// null device is everybody's, and what cannot be given away is left.
fn own_standard_streams(uid: u32) {
    for number in 0..3 {
        // SAFETY: it is only borrowed for two calls, which say so when it is not open.
        #[allow(unsafe_code)]
        let stream = unsafe { BorrowedFd::borrow_raw(number) };
        let Ok(found) = fstat(stream) else { continue };
        let is_null = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice
            && (major(found.st_rdev), minor(found.st_rdev)) == (1, 3);
        if !is_null && found.st_uid != uid {
            let _ = fchown(stream, Some(Uid::from_raw(uid)), None);
        }
    }
}
