//! A long-running program that a test started and will stop.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How often a condition of another process is looked at.
const POLL: Duration = Duration::from_millis(10);
/// How long a daemon may take to become ready or to stop.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of the end of a daemon's log a failed test shows, in lines, and how many complaints before that.
const LOG_LINES: usize = 60;
const COMPLAINTS: usize = 20;

/// A child process with its output in a file.
///
/// Dropping it stops the process and prints the end of its log, which the test runner shows for failed tests only.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
    running: bool,
}

impl Daemon {
    /// Starts `command` with both outputs in the file `log`.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let output =
            File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned(), running: true })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns once `ready` is true; an error if the process ends first or takes more than a minute.
    pub fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !ready() {
            self.still_runs()?;
            if Instant::now() > deadline {
                bail!("{} is not ready after {PATIENCE:?}:\n{}", self.name, self.log_end());
            }
            sleep(POLL);
        }
        // An answer of somebody else on the same port is none.
        self.still_runs()
    }

    fn still_runs(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            self.running = false;
            bail!("{} ended with {status} before it was ready:\n{}", self.name, self.log_end());
        }
        Ok(())
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Asks the process to end (SIGTERM) and waits for it; kills it after a minute, which is an error.
    pub fn stop(mut self) -> Result<ExitStatus> {
        self.terminate()
    }

    /// Ends the process at once (SIGKILL): what a crash looks like from outside.
    pub fn kill(mut self) -> Result<()> {
        self.running = false;
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// All that the process wrote.
    #[must_use]
    pub fn log(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The file of what the process writes.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// The last lines the process wrote, after the last of its warnings and errors before them.
    #[must_use]
    pub fn log_end(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        let (before, end) = lines.split_at(lines.len().saturating_sub(LOG_LINES));
        let is_complaint = |line: &&&str| line.contains("WARN") || line.contains("ERROR");
        let mut told: Vec<&str> =
            before.iter().rev().filter(is_complaint).take(COMPLAINTS).copied().collect();
        told.reverse();
        told.extend(end);
        told.join("\n")
    }

    fn terminate(&mut self) -> Result<ExitStatus> {
        self.running = false;
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            sleep(POLL);
        }
        self.child.kill()?;
        self.child.wait()?;
        bail!("{} did not stop within {PATIENCE:?} of SIGTERM:\n{}", self.name, self.log_end())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.running {
            let _ = self.terminate();
            println!("--- the end of what {} wrote ---\n{}", self.name, self.log_end());
        }
    }
}
