//! Running another program in a container.

mod foreign;

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::process::{Command, ExitStatus, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::containers::engine::Engine;
use crate::containers::error::{ContainerError, Doing as _};
use crate::containers::record::{Container, Status};
use crate::containers::runtime::{EXEC_FAILED, Runtime, explain, last_error, without_input};
use crate::containers::wire::Failure;
use crate::spec::capabilities::capabilities;
use crate::spec::{HostConfig, HostFacts, resolve_user};

/// A program for a container that runs.
#[derive(Clone, Debug, Default)]
pub struct ExecRequest {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// Whether it reads the standard input.
    pub input: bool,
    /// Whether nobody waits for it.
    pub detach: bool,
    /// As whom, where it is not whom the container is.
    pub user: Option<String>,
    /// Variables besides those of the container.
    pub env: Vec<String>,
    /// Where, in place of where the container is.
    pub working_dir: Option<String>,
    /// Whether it may do everything.
    pub privileged: bool,
}

impl Engine {
    /// Runs a program in a container, and gives its exit code. With our own runtime this process becomes the runtime,
    /// for which it must have one thread. Where nobody waits for the program this returns when it runs.
    ///
    /// # Errors
    ///
    /// When the container does not run, or the program cannot be.
    pub fn exec(&self, text: &str, request: &ExecRequest) -> Result<u8, ContainerError> {
        let container = self.find(text)?;
        let id = &container.record.id;
        match container.status {
            Status::Running => {}
            Status::Paused => {
                return Err(ContainerError::Conflict(format!(
                    "Container {id} is paused, unpause the container before exec"
                )));
            }
            _ => return Err(ContainerError::Conflict(format!("container {id} is not running"))),
        }
        let process = self.process(&container, request)?;
        let runtime = Runtime::named(&container.record.host_config.runtime, self.roots.run());
        if runtime.is_own() && !request.detach {
            if !request.input {
                without_input()?;
            }
            return Ok(runtime.exec(id, process));
        }
        let file = in_memory(&process.to_string())?;
        let (mut command, _program) = runtime.command()?;
        if request.detach {
            let log = in_memory("")?;
            command.arg("--log").arg(path(&log)).args(["--log-format", "json"]);
            command.args(["exec", "--detach", "--process"]).arg(path(&file)).arg(id.as_str());
            return detached(command, log).map(|()| 0);
        }
        let folder = self.store.run(id).join(format!("exec-{}", std::process::id()));
        foreign::attached(command, &folder, &file, id, request)
    }

    /// The process in the words of the runtime: that of the container, changed.
    fn process(
        &self,
        container: &Container,
        request: &ExecRequest,
    ) -> Result<Value, ContainerError> {
        let record = &container.record;
        let run = self.store.run(&record.id);
        let path = run.join("config.json");
        let text = std::fs::read(&path).doing(|| format!("read {}", path.display()))?;
        let damaged = |source| ContainerError::Damaged { path: path.display().to_string(), source };
        let Configuration { mut process } = serde_json::from_slice(&text).map_err(damaged)?;
        process["args"] = json!(request.command);
        process["terminal"] = request.tty.into();
        if let Value::Object(members) = &mut process {
            members.remove("consoleSize");
        }
        if let Some(folder) = &request.working_dir {
            process["cwd"] = json!(folder);
        }
        if let Some(user) = &request.user {
            let user = resolve_user(&run.join("rootfs"), user, &record.host_config.group_add)?;
            process["user"] =
                json!({"uid": user.uid, "gid": user.gid, "additionalGids": user.groups});
            let is_own = record.config.env.iter().any(|pair| pair.starts_with("HOME="));
            if !is_own {
                set(&mut process["env"], &format!("HOME={}", user.home));
            }
            if user.uid != 0 && !request.privileged {
                drop_rights(&mut process["capabilities"]);
            }
        }
        for pair in &request.env {
            set(&mut process["env"], pair);
        }
        if request.tty {
            set(&mut process["env"], "TERM=xterm");
        }
        if request.privileged {
            let everything = HostConfig { privileged: true, ..HostConfig::default() };
            let all = capabilities(&everything, HostFacts::detect()?.capabilities)?;
            process["capabilities"] = json!({"bounding": all, "effective": all, "permitted": all});
        }
        Ok(process)
    }
}

/// What is needed of config.json: most of it is lists of system calls.
#[derive(Deserialize)]
struct Configuration {
    process: Value,
}

/// Sets a variable; a name alone takes it away.
fn set(env: &mut Value, pair: &str) {
    let (name, has_value) = match pair.split_once('=') {
        Some((name, _)) => (name, true),
        None => (pair, false),
    };
    if let Value::Array(list) = env {
        list.retain(|other| {
            let other = other.as_str().unwrap_or_default();
            other.split_once('=').map_or(other, |(name, _)| name) != name
        });
        if has_value {
            list.push(pair.into());
        }
    }
}

/// Whoever is not root has only what executing a file gives.
fn drop_rights(capabilities: &mut Value) {
    if let Value::Object(sets) = capabilities {
        for set in ["effective", "permitted", "ambient"] {
            sets.remove(set);
        }
    }
}

/// A file that goes with the last that has it open; the program that is executed next has it, too.
fn in_memory(text: &str) -> Result<File, ContainerError> {
    let write = || -> io::Result<File> {
        let mut file = File::from(memfd_create("berth", MemfdFlags::empty())?);
        file.write_all(text.as_bytes())?;
        file.rewind()?;
        Ok(file)
    };
    write().doing(|| "hand over the process to the runtime")
}

fn path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Starts a program that nobody waits for. It has the standard error of the runtime, so what goes wrong is in a
/// log.
fn detached(mut command: Command, log: File) -> Result<(), ContainerError> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().doing(|| "execute the runtime")?;
    if status.success() {
        return Ok(());
    }
    let Failure { code, message } = explain(said_in(log, status));
    Err(failed(code, &message))
}

fn failed(code: u8, message: &str) -> ContainerError {
    ContainerError::Start { code, message: format!("{EXEC_FAILED}: {message}") }
}

/// The reason for which a runtime has failed.
fn said_in(mut log: File, status: ExitStatus) -> String {
    let said = log.rewind().and_then(|()| io::read_to_string(log)).unwrap_or_default();
    last_error(&said).unwrap_or_else(|| format!("the runtime failed: {status}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_set_once_and_taken_away() {
        let mut env = json!(["A=1", "B=2", "AB=3"]);
        set(&mut env, "A=4");
        set(&mut env, "B");
        set(&mut env, "C=");
        assert_eq!(env, json!(["AB=3", "A=4", "C="]));
    }
}
