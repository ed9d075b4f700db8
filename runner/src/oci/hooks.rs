//! Running the programs that a configuration names for moments in the life of a container.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;

use super::Result;
use super::config::Hook;
use super::error::{Doing as _, Error};
use super::log::Log;

/// How much of what a failing hook says is passed on.
const MOST_OUTPUT: u64 = 4096;

/// Runs them one after the other, each with the state of the container on its standard input.
///
/// # Errors
///
/// The first one that fails, is killed, or takes longer than it may.
pub(super) fn run(hooks: &[Hook], state: &Value) -> Result<()> {
    hooks.iter().try_for_each(|hook| run_one(hook, state))
}

/// The same where a failure must not stop anything.
pub(super) fn run_and_warn(hooks: &[Hook], state: &Value, log: &Log) {
    for hook in hooks {
        if let Err(error) = run_one(hook, state) {
            log.warning(&error.to_string());
        }
    }
}

fn run_one(hook: &Hook, state: &Value) -> Result<()> {
    let name = hook.path.display();
    let mut command = Command::new(&hook.path);
    if let Some((first, rest)) = hook.args.split_first() {
        command.arg0(first).args(rest);
    }
    command.env_clear().envs(hook.env.iter().filter_map(|pair| pair.split_once('=')));
    // A file and no pipe: nobody needs to read it while the hook runs.
    let mut said = said_file().doing(|| "make a file in memory")?;
    let output = said.try_clone().doing(|| "make a file in memory")?;
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(output);
    let mut child = command.spawn().doing(|| format!("run the hook {name}"))?;
    if let Some(mut input) = child.stdin.take() {
        // A hook that does not read its state has no need of it.
        let _ = input.write_all(state.to_string().as_bytes());
    }
    if !ends_in_time(&child, hook.timeout.map(Duration::from_secs))? {
        let _ = child.kill();
        let _ = child.wait();
        return Err(Error::Init(format!(
            "the hook {name} was killed after its timeout of {} seconds",
            hook.timeout.unwrap_or_default()
        )));
    }
    let status = child.wait().doing(|| format!("wait for the hook {name}"))?;
    if status.success() {
        return Ok(());
    }
    let mut output = Vec::new();
    said.rewind().doing(|| format!("read what the hook {name} said"))?;
    let read = said.take(MOST_OUTPUT).read_to_end(&mut output);
    read.doing(|| format!("read what the hook {name} said"))?;
    let output = String::from_utf8_lossy(&output);
    Err(Error::Init(format!("the hook {name} failed with {status}: {}", output.trim())))
}

fn said_file() -> io::Result<File> {
    Ok(File::from(memfd_create("hook", MemfdFlags::CLOEXEC)?))
}

fn ends_in_time(child: &Child, timeout: Option<Duration>) -> Result<bool> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (Some(timeout), Some(pid)) = (timeout, pid) else { return Ok(true) };
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).doing(|| "open the process of a hook")?;
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)], left.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other.doing(|| "wait for a hook")? > 0),
        }
    }
}
