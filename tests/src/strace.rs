//! Killing a process at its Nth call of a system call, before the call is carried out.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::wait;
use anyhow::{Context as _, Result, bail};
use tempfile::{NamedTempFile, TempPath};

/// What changes something: files, their names, and what is told to a database or a store on another machine. A
/// machine that does not have one of them goes without (`?`).
pub const CALLS: [&str; 16] = [
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
    "mkdirat",
    "rename",
    "renameat2",
    "fsync",
    "fdatasync",
    "syncfs",
    "ftruncate",
    "pwrite64",
    "write",
    "writev",
    "sendto",
    "sendmsg",
];

/// Where a process is killed. Each thread counts for itself, so the same point may come at another step in another
/// run: what is proved is that none of those that came mattered.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// The system call.
    pub call: &'static str,
    /// Which one of these that a thread makes, from 1.
    pub number: u32,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.call, self.number)
    }
}

/// Why strace cannot be had.
pub fn why_missing() -> Option<&'static str> {
    let found = Command::new("strace").arg("--version").stdout(Stdio::null()).status();
    let missing = !found.is_ok_and(|status| status.success());
    missing.then_some("strace is not installed: run `cargo xtask setup`")
}

/// What strace does to a process.
#[derive(Clone, Copy, Debug)]
pub enum Tracing<'a> {
    /// It counts the calls.
    Count(&'a Trace),
    /// It kills the process.
    Kill(Point),
}

impl Tracing<'_> {
    /// The same command, traced. It ends as the command does, by the same signal too.
    pub fn of_command(self, command: &Command) -> Command {
        let mut traced = self.strace();
        traced.arg("--").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => traced.env(name, value),
                None => traced.env_remove(name),
            };
        }
        traced
    }

    /// Traces a process that runs; its calls are counted from when this returns.
    pub fn of_process(self, process: u32) -> Result<Tracer> {
        let mut strace = self.strace();
        strace.args(["-p", &process.to_string()]).stdin(Stdio::null()).stderr(Stdio::null());
        let tracer = Tracer(strace.spawn().context("cannot start strace")?);
        wait::until("all threads are traced", || Ok(is_traced(process)))?;
        Ok(tracer)
    }

    fn strace(self) -> Command {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qqq"]);
        match self {
            Self::Count(trace) => {
                let calls: Vec<_> = CALLS.iter().map(|call| format!("?{call}")).collect();
                strace.arg("-e").arg(format!("trace={}", calls.join(",")));
                strace.arg("-o").arg(&trace.0);
            }
            Self::Kill(Point { call, number }) => {
                strace.args(["-o", "/dev/null", "-e", &format!("trace=?{call}")]);
                strace.args(["-e", &format!("inject=?{call}:signal=KILL:when={number}")]);
            }
        }
        strace
    }
}

/// What a process that nobody killed has called.
#[derive(Debug)]
pub struct Trace(TempPath);

impl Trace {
    /// Of nothing yet.
    pub fn new() -> Result<Self> {
        Ok(Self(NamedTempFile::new()?.into_temp_path()))
    }

    /// How often a thread has made each call at most.
    pub fn counts(&self) -> Result<Vec<(&'static str, u32)>> {
        let text = fs::read_to_string(&self.0)?;
        let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        for line in text.lines() {
            let Some((thread, call)) = line.split_once(' ') else { continue };
            let Some((call, _)) = call.trim_start().split_once('(') else { continue };
            *counts.entry((thread, call)).or_default() += 1;
        }
        let most = |call: &str| {
            counts.iter().filter(|((_, of), _)| *of == call).map(|(_, count)| *count).max()
        };
        Ok(CALLS.into_iter().filter_map(|call| Some((call, most(call)?))).collect())
    }
}

/// A process that watches another and ends after it, or lets go of it when it is dropped.
#[derive(Debug)]
pub struct Tracer(Child);

impl Tracer {
    /// Waits for its end, once the other process has ended.
    pub fn finish(mut self) -> Result<()> {
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            // It has nothing to write down; the kernel lets go of whatever it traced.
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}

/// Whether all threads are, but for those that have ended: the process may have been killed at once.
fn is_traced(process: u32) -> bool {
    let Ok(threads) = fs::read_dir(Path::new("/proc").join(process.to_string()).join("task"))
    else {
        return true;
    };
    threads.flatten().all(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let has_ended = status.lines().any(|line| line.starts_with("State:\tZ"));
        has_ended || !status.lines().any(|line| line == "TracerPid:\t0")
    })
}

/// Whether a process that ended was killed; an error if it ended badly by itself.
pub fn was_killed(status: ExitStatus, told: impl FnOnce() -> String) -> Result<bool> {
    match (status.success(), status.signal()) {
        (true, _) => Ok(false),
        (_, Some(9)) => Ok(true),
        _ => bail!("it ended with {status}:\n{}", told()),
    }
}
