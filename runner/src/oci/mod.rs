//! An OCI runtime: `berth oci create`, `start`, `state`, `kill`, `delete` and the words that runc has
//! besides, after version 1.2 of the [runtime specification].
//!
//! A container is made in three steps, each in a module of its own. `plan` reads the bundle's
//! configuration into a plan and touches nothing. `launch` opens by descriptor all that the plan
//! needs of the host, makes the cgroup, and clones. `init` is the cloned process: one straight
//! line of system calls up to `execve`. No path of the container's root is followed but through
//! `kernel::root::RootDirectory`, which never leaves it, and nothing is mounted but on what was
//! opened that way.
//!
//! The process has one thread whenever it clones itself, so a clone of it may do what it likes.
//!
//! ```text
//! <root>/<id>/                  0700; /run/berth/oci unless --root says otherwise
//!   state.json                  what was made, for the commands that come later
//!   process.json                its first process, once there is one
//!   config.json                 the bundle's configuration as it was
//!   start                       the socket on which the process waits for `start`; gone when it runs
//! ```
//!
//! [runtime specification]: https://github.com/opencontainers/runtime-spec

mod arguments;
pub(crate) mod attend;
pub(crate) mod cgroups;
mod check;
mod commands;
mod config;
pub(crate) mod container;
pub(crate) mod error;
mod hooks;
mod init;
pub(crate) mod kernel;
mod launch;
mod log;
mod plan;
mod seccomp;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;

pub use check::{check_configuration, check_seccomp};
use error::Error;
pub(crate) use kernel::root::RootDirectory;
pub use launch::make_read_only_early;
pub(crate) use plan::capability_names;

use arguments::Arguments;
use log::Log;

/// What a command of this runtime gives back.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Runs one command: `arguments` are those of the program, its name first.
///
/// What went wrong is told to the log that `--log` names and to the standard error.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<_> = arguments.into_iter().collect();
    let arguments = match Arguments::read(&words) {
        Ok(arguments) => arguments,
        // Help and the version are errors to clap, which knows their exit codes.
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1));
        }
    };
    let log = match Log::open(&arguments.global) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("berth oci: {error}");
            return ExitCode::FAILURE;
        }
    };
    match commands::run(arguments, &log) {
        Ok(code) => code,
        Err(error) => {
            log.error(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

/// Ends a container of the runtime whose state is in `root`, and removes what is left of it. One that is
/// not there is no error.
pub(crate) fn delete(root: &Path, id: &str) -> Result<()> {
    commands::remove(root, id)
}

/// Runs another process in a container of the runtime whose state is in `root`, and stays with it: its exit code. It
/// is `process`, as config.json has it, whole. What goes wrong is told to the standard error after `prefix`, and has
/// the exit code that it has of the command.
///
/// This process must have one thread. If its program file can be written to, it is executed again with the arguments
/// that it has.
pub(crate) fn exec(root: &Path, id: &str, process: serde_json::Value, prefix: &str) -> u8 {
    let log = Log::to_errors(prefix);
    commands::execute(root, id, process, &log).unwrap_or_else(|error| {
        log.error(&error.to_string());
        error.exit_code()
    })
}

/// The program file of the runtime, for whoever executes it: it cannot be written to by this.
pub(crate) fn program() -> Result<OwnedFd> {
    launch::read_only()
}
