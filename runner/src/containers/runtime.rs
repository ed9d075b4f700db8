//! The OCI runtime, as a program.

use std::fs::File;
use std::io::{PipeWriter, Write as _, pipe};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use jiff::Timestamp;
use rustix::io::{Errno, dup};
use rustix::stdio::dup2_stdin;
use serde::Deserialize;
use serde_json::Value;

use super::error::{ContainerError, Doing as _};
use super::id::ContainerId;
use super::store::remove_all;
use super::wire::Failure;

/// Names of files in the bundle.
const LOG: &str = "runtime.log";
pub(super) const PID_FILE: &str = "pid";
pub(super) const CONSOLE: &str = "console";
/// The first process, as a mount.
pub(super) const PIN: &str = "process";
/// What docker says before the reason.
pub(super) const EXEC_FAILED: &str = "OCI runtime exec failed";

/// Which runtime makes a container, and where it keeps what it knows.
#[derive(Clone, Debug)]
pub(super) struct Runtime {
    /// `None` is our own.
    program: Option<PathBuf>,
    root: PathBuf,
}

/// What a program reads and writes.
#[derive(Debug)]
pub(super) enum Streams {
    Pipes { input: OwnedFd, output: OwnedFd, errors: OwnedFd },
    Terminal,
}

impl Runtime {
    /// The one of that name: nothing or `berth` is our own, others are looked for in `$PATH`.
    pub(super) fn named(name: &str, run: &Path) -> Self {
        match name {
            "" | "berth" => Self { program: None, root: run.join("oci") },
            _ => {
                let last = Path::new(name).file_name().unwrap_or_default();
                Self { program: Some(name.into()), root: run.join("runtimes").join(last) }
            }
        }
    }

    /// Whether it is `berth oci`.
    pub(super) fn is_own(&self) -> bool {
        self.program.is_none()
    }

    /// Starts it for a container of the bundle, as far as that can be before there is a configuration: our own waits
    /// for that, and has its start behind it when it comes.
    pub(super) fn begin<'run>(
        &'run self,
        id: &ContainerId,
        bundle: &'run Path,
        streams: Streams,
    ) -> Result<Begun<'run>, ContainerError> {
        let (mut command, _program) = self.command()?;
        command.args(["--log", LOG, "--log-format", "json"]);
        command.args(["run", "--detach", "--bundle", ".", "--pid-file", PID_FILE]);
        match streams {
            Streams::Pipes { input, output, errors } => {
                command.stdin(input).stdout(output).stderr(errors);
            }
            Streams::Terminal => {
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                command.args(["--console-socket", CONSOLE]);
            }
        }
        command.current_dir(bundle);
        let started = if self.is_own() {
            let (reader, writer) = pipe().doing(|| "make a pipe")?;
            // One that the runtime inherits; here there is none left of it when it is started.
            let inherited = dup(&reader).doing(|| "make a pipe")?;
            command.arg("--config").arg(format!("/proc/self/fd/{}", inherited.as_raw_fd()));
            command.args(["--pin-file", PIN]);
            let child = command.arg(id.as_str()).spawn();
            let child = child.doing(|| format!("execute the runtime {}", self.name()))?;
            Started::Waiting(Waiting(child), writer)
        } else {
            command.arg(id.as_str());
            Started::Not(Box::new(command))
        };
        Ok(Begun { runtime: self, bundle, started })
    }

    /// Removes what is left of a container that has ended, or ends it.
    pub(super) fn delete(&self, id: &ContainerId) -> Result<(), ContainerError> {
        if self.is_own() {
            let deleted = crate::oci::delete(&self.root, id.as_str());
            return deleted.map_err(|error| ContainerError::Conflict(error.to_string()));
        }
        let (mut command, _program) = self.command()?;
        command.args(["delete", "--force", id.as_str()]).stdin(Stdio::null());
        let output = match command.output() {
            // It was never there, or is gone by now. All but its own notes is given back without it.
            Err(error) if is_no_program(&error) => return remove_all(&self.root.join(id.as_str())),
            other => other.doing(|| format!("execute the runtime {}", self.name()))?,
        };
        // One that is not there any more is what is wanted.
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || said.contains("does not exist") {
            return Ok(());
        }
        Err(ContainerError::Conflict(format!("{}: {}", self.name(), said.trim())))
    }

    /// A command of it, up to its own options. What comes along must be kept until it is executed.
    pub(super) fn command(&self) -> Result<(Command, Option<OwnedFd>), ContainerError> {
        let Some(program) = &self.program else {
            let program = crate::oci::program();
            let program = program.map_err(|error| ContainerError::Conflict(error.to_string()))?;
            let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
            command.arg("oci").arg("--root").arg(&self.root);
            return Ok((command, Some(program)));
        };
        let mut command = Command::new(program);
        command.arg("--root").arg(&self.root);
        Ok((command, None))
    }

    /// Becomes our own, which runs another process in a container and stays with it: its exit code. What goes wrong is
    /// told in docker's words.
    pub(super) fn exec(&self, id: &ContainerId, process: Value) -> u8 {
        crate::oci::exec(&self.root, id.as_str(), process, EXEC_FAILED)
    }

    fn name(&self) -> String {
        self.program
            .as_ref()
            .map_or("berth oci".to_owned(), |program| program.display().to_string())
    }

    fn failure(&self, bundle: &Path, status: ExitStatus) -> ContainerError {
        let log = std::fs::read_to_string(bundle.join(LOG)).unwrap_or_default();
        let message =
            last_error(&log).unwrap_or_else(|| format!("{} failed: {status}", self.name()));
        let Failure { code, message } = explain(message);
        ContainerError::Start { code, message }
    }
}

/// Whether there is nothing that could be executed, now or when it is tried again.
fn is_no_program(error: &std::io::Error) -> bool {
    let is_one_of =
        |errno| matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::NOEXEC);
    Errno::from_io_error(error).is_some_and(is_one_of)
}

/// A runtime that is to make a container.
#[derive(Debug)]
pub(super) struct Begun<'run> {
    runtime: &'run Runtime,
    bundle: &'run Path,
    started: Started,
}

#[derive(Debug)]
enum Started {
    /// It waits for the configuration.
    Waiting(Waiting, PipeWriter),
    /// It reads the configuration from the bundle.
    Not(Box<Command>),
}

/// A process that ends with this, if it has not by itself: without a configuration there is nothing of a container
/// yet.
#[derive(Debug)]
struct Waiting(Child);

impl Drop for Waiting {
    fn drop(&mut self) {
        // Both do nothing where somebody has waited for its end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Begun<'_> {
    /// Has it make the container and let it run. The configuration is in the bundle, too.
    pub(super) fn run(self, config: &str) -> Result<(), ContainerError> {
        let status = match self.started {
            Started::Waiting(mut waiting, mut writer) => {
                // One that has ended says why.
                let _ = writer.write_all(config.as_bytes());
                drop(writer);
                waiting.0.wait()
            }
            Started::Not(mut command) => command.status(),
        };
        let status = status.doing(|| format!("execute the runtime {}", self.runtime.name()))?;
        if status.success() { Ok(()) } else { Err(self.runtime.failure(self.bundle, status)) }
    }
}

#[derive(Deserialize)]
struct Line {
    level: String,
    msg: String,
}

/// The last error of a runtime's log.
pub(super) fn last_error(log: &str) -> Option<String> {
    let lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.into_iter().find(|line| line.level == "error").map(|line| line.msg)
}

/// What `run` exits with for the words of a runtime, as docker does: 127 for what is not there, 126 for what
/// may not be executed.
pub(super) fn explain(message: String) -> Failure {
    let lower = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| lower.contains(words));
    let code = if says(&["executable file not found", "no such file or directory"]) {
        127
    } else if says(&["permission denied", "is a directory", "exec format error"]) {
        126
    } else {
        125
    };
    Failure { code, message }
}

/// The process that the runtime has started.
pub(super) fn started(bundle: &Path) -> Result<rustix::process::Pid, ContainerError> {
    let path = bundle.join(PID_FILE);
    let text = std::fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
    let pid = text.trim().parse().ok().and_then(rustix::process::Pid::from_raw);
    pid.ok_or_else(|| ContainerError::Conflict(format!("{}: no process", path.display())))
}

/// The same as whoever did not start it finds it, and since when it is there; `None` when there is none.
pub(super) fn started_unseen(bundle: &Path) -> Option<(i32, Timestamp)> {
    let pid = started(bundle).ok()?.as_raw_nonzero().get();
    let written = std::fs::metadata(bundle.join(PID_FILE)).and_then(|found| found.modified());
    Some((pid, Timestamp::try_from(written.ok()?).ok()?))
}

/// The null device, as all three streams.
pub(super) fn null() -> std::io::Result<File> {
    File::options().read(true).write(true).open("/dev/null")
}

/// Leaves this process, and what becomes of it, nothing to read.
pub(super) fn without_input() -> Result<(), ContainerError> {
    null().and_then(|null| Ok(dup2_stdin(null)?)).doing(|| "open /dev/null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_dockers() {
        for (message, code) in [
            ("exec: \"x\": executable file not found in $PATH", 127),
            ("exec: \"/x\": stat /x: No such file or directory (os error 2)", 127),
            ("exec: \"/etc\": is a directory: permission denied", 126),
            ("exec: \"/etc/passwd\": Permission denied (os error 13)", 126),
            ("make the cgroup /x: Read-only file system", 125),
        ] {
            assert_eq!(explain(message.to_owned()).code, code, "{message}");
        }
    }

    #[test]
    fn the_last_error_is_what_counts() {
        let log = "{\"level\":\"error\",\"msg\":\"one\"}\n{\"level\":\"error\",\"msg\":\"two\"}\nno json\n\
                   {\"level\":\"warning\",\"msg\":\"three\"}\n";
        assert_eq!(last_error(log), Some("two".to_owned()));
        assert_eq!(last_error(""), None);
    }
}
