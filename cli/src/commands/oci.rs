//! `berth oci`: the OCI runtime, which has a command line of its own.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};

/// The C library calls it before `main`, and before all that libraries do there.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[used]
#[allow(unsafe_code)]
// SAFETY: the section has functions of this type, and glibc gives them the arguments and the environment.
#[unsafe(link_section = ".init_array.00101")]
static EARLY: unsafe extern "C" fn(
    std::ffi::c_int,
    *const *const std::ffi::c_char,
    *const *const std::ffi::c_char,
) = berth_runner::oci::make_read_only_early;

/// Runs it when it is named: whatever comes after `oci` is its own.
#[cfg(target_os = "linux")]
pub(crate) fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let is_named = arguments.next().is_some_and(|name| name == "oci");
    let name = std::iter::once(OsString::from("berth oci"));
    is_named.then(|| berth_runner::oci::main(name.chain(arguments)))
}

/// There is none elsewhere.
#[cfg(not(target_os = "linux"))]
pub(crate) fn run() -> Option<ExitCode> {
    None
}

/// What remains to be said where [`run`] did nothing.
pub(crate) fn refuse(arguments: &[OsString]) -> Result<ExitCode> {
    let command = arguments.first().map(|command| command.to_string_lossy()).unwrap_or_default();
    bail!("oci {command}: {}", crate::engine::elsewhere::WHY)
}
