//! `berth oci`: the OCI runtime, which has a command line of its own.

use std::process::ExitCode;

use anyhow::{Result, bail};

/// Runs it when it is named: whatever comes after `oci` is its own.
#[cfg(target_os = "linux")]
pub(crate) fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let is_named = arguments.next().is_some_and(|name| name == "oci");
    is_named.then(|| berth_runner::oci::main(["berth oci".into()].into_iter().chain(arguments)))
}

/// There is none elsewhere.
#[cfg(not(target_os = "linux"))]
pub(crate) fn run() -> Option<ExitCode> {
    None
}

/// What remains to be said where [`run`] did nothing.
pub(crate) fn unavailable() -> Result<ExitCode> {
    bail!("oci: containers are run on Linux only")
}
