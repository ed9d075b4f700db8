//! A server's process: started, waited for, and ended with its value or with this process.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::account;
use crate::port::free_port;

/// How long a server may take until it answers; the slowest takes 3 s on an idle machine.
const START: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// How often another port is tried because somebody took the one that was free a moment ago.
const PORTS: usize = 3;

/// A running program.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `program`; what it prints goes to `log`.
    pub(crate) fn start(
        program: impl AsRef<Path>,
        log: PathBuf,
        configure: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        Self::start_by(Command::new("setpriv"), "KILL", program.as_ref(), log, configure)
    }

    /// Starts a `program` that refuses to run as root. If this process is killed it ends at once, and in order: what
    /// it has taken of the machine beyond its memory is given back.
    pub(crate) fn start_unprivileged(
        program: impl AsRef<Path>,
        log: PathBuf,
        configure: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        Self::start_by(account::setpriv(), "QUIT", program.as_ref(), log, configure)
    }

    fn start_by(
        mut command: Command,
        at_our_death: &str,
        program: &Path,
        log: PathBuf,
        configure: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        let output = File::create(&log)?;
        // A killed test runs no destructor: the kernel then ends the server.
        command.args(["--pdeathsig", at_our_death, "--"]).arg(program);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        configure(&mut command);
        let child = spawn(command)
            .with_context(|| format!("cannot start {} by setpriv", program.display()))?;
        Ok(Self { child, log })
    }

    /// Waits until `answers` says so.
    ///
    /// # Errors
    ///
    /// The program ended, or does not answer for a minute; with the end of its log.
    pub(crate) fn wait_until(&mut self, mut answers: impl FnMut() -> bool) -> Result<()> {
        let start = Instant::now();
        while !answers() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}:\n{}", self.last_words());
            }
            if start.elapsed() > START {
                bail!("the server does not answer after {START:?}:\n{}", self.last_words());
            }
            thread::sleep(POLL);
        }
        // An answer of somebody else on the same port is none.
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended with {status}:\n{}", self.last_words());
        }
        Ok(())
    }

    /// The number of the process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Ends the process by a signal, and returns once it is gone.
    pub(crate) fn end(mut self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)?;
        self.child.wait()?;
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Neither can fail for a child that was not waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server on a free port, and on another one if that was taken in between.
pub(crate) fn on_free_port<T>(mut start: impl FnMut(u16) -> Result<T>) -> Result<T> {
    let mut tries = 1;
    loop {
        match start(free_port()?) {
            Err(error) if tries < PORTS && is_taken(&error) => tries += 1,
            outcome => return outcome,
        }
    }
}

fn is_taken(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}").to_lowercase();
    ["in use", "eaddrinuse"].iter().any(|reason| text.contains(reason))
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

type Request = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts a process from a thread that lives as long as this process: the kernel sends the signal that a child asks
/// for when the *thread* that started it ends, and the threads of tests end while others still use a shared server.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: LazyLock<Mutex<mpsc::Sender<Request>>> = LazyLock::new(|| {
        let (requests, inbox) = mpsc::channel::<Request>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(requests)
    });
    let (answer, child) = mpsc::channel();
    let gone = |_| io::Error::other("the thread that starts programs is gone");
    let sent = match SPAWNER.lock() {
        Ok(spawner) => spawner.send((command, answer)),
        Err(poisoned) => poisoned.into_inner().send((command, answer)),
    };
    sent.map_err(|_| gone(()))?;
    child.recv().map_err(|_| gone(()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_outlives_the_thread_that_started_it_and_ends_with_its_value() {
        let folder = crate::folder::temporary().unwrap();
        let log = folder.path().join("log");
        let start = move || {
            Program::start("sleep", log, |command| {
                command.arg("1000");
            })
        };
        let mut program = thread::spawn(start).join().unwrap().unwrap();
        assert!(program.child.try_wait().unwrap().is_none());
        let process = Path::new("/proc").join(program.child.id().to_string());
        assert!(process.exists());
        drop(program);
        assert!(!process.exists());
    }

    #[test]
    fn the_log_of_a_program_that_ends_too_early_is_in_the_error() {
        let folder = crate::folder::temporary().unwrap();
        let mut program = Program::start("sh", folder.path().join("log"), |command| {
            command.args(["-c", "echo no such luck; exit 3"]);
        })
        .unwrap();
        let error = program.wait_until(|| false).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("no such luck"), "{error}");
    }
}
