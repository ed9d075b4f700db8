//! By another runtime than ours: it starts the program and ends, and this process, to which the program comes then,
//! stays with it. So what goes wrong has the exit codes of ours, and a terminal needs none on this side.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{PidfdFlags, getpid, pidfd_open, set_child_subreaper};

use super::{ExecRequest, failed, in_memory, path, said_in};
use crate::containers::console::Console;
use crate::containers::error::{ContainerError, Doing as _};
use crate::containers::id::ContainerId;
use crate::containers::runtime::{CONSOLE, PID_FILE, explain, started, without_input};
use crate::containers::store::{private, remove_all};
use crate::containers::wire::Failure;
use crate::oci::attend::stay;
use crate::oci::kernel::clone::Child;
use crate::oci::kernel::signals;

/// Has the runtime that `command` is start the program of the file `process`, and gives its exit code. What is
/// needed meanwhile is in `folder`.
pub(super) fn attached(
    mut command: Command,
    folder: &Path,
    process: &File,
    id: &ContainerId,
    request: &ExecRequest,
) -> Result<u8, ContainerError> {
    let folder = Folder::make(folder)?;
    let log = in_memory("")?;
    let signals = become_its_parent(request.input)?;
    command.arg("--log").arg(path(&log)).args(["--log-format", "json"]);
    command.args(["exec", "--detach", "--pid-file", PID_FILE, "--process"]).arg(path(process));
    let console = request.tty.then(|| Console::make(&folder.0)).transpose()?;
    if request.tty {
        command.args(["--console-socket", CONSOLE]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }
    command.arg(id.as_str()).current_dir(&folder.0);
    let status = command.status().doing(|| "execute the runtime")?;
    if !status.success() {
        let Failure { code, message } = explain(said_in(log, status));
        // Without a terminal it has the standard error of the program, and has said there why.
        return if request.tty { Err(failed(code, &message)) } else { Ok(code) };
    }
    let terminal = console.map(|console| console.take()).transpose()?;
    let pid = started(&folder.0)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).doing(|| "open the program's process")?;
    drop(folder);
    stay(&Child { pid, pidfd }, &signals, terminal)
        .map_err(|error| ContainerError::Conflict(error.to_string()))
}

/// Prepares this process for a program that is about to come, and gives the descriptor by which signals do: from now
/// on, so that none is lost.
fn become_its_parent(with_input: bool) -> Result<OwnedFd, ContainerError> {
    set_child_subreaper(Some(getpid())).doing(|| "become the parent of the program")?;
    if !with_input {
        without_input()?;
    }
    signals::divert().doing(|| "wait for signals")
}

/// A folder that goes with this, or with the container.
struct Folder(PathBuf);

impl Folder {
    fn make(path: &Path) -> Result<Self, ContainerError> {
        // A command of the same number was killed.
        remove_all(path)?;
        private(false).create(path).doing(|| format!("make {}", path.display()))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left goes with the container.
        let _ = remove_all(&self.0);
    }
}
