//! Stopping, pausing, waiting, attaching.

use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::Signal;

use super::attach::Attachment;
use super::engine::Engine;
use super::error::ContainerError;
use super::id::ContainerId;
use super::monitor::SOCKET;
use super::process::{Process, path_in};
use super::record::{Container, Record, Status};
use super::store::cgroup;
use crate::oci::kernel::signals;
use crate::spec::PidMode;

/// How long a program has to end by itself, without a word from anybody.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How far apart it is looked for a monitor that is about to listen.
const PAUSE: Duration = Duration::from_millis(5);

impl Engine {
    /// Sends a signal to the first process of a container.
    ///
    /// # Errors
    ///
    /// When there is no such signal, or the container does not run.
    pub fn kill(&self, text: &str, signal: &str) -> Result<(), ContainerError> {
        let signal = parse_signal(signal)?;
        let container = self.find(text)?;
        let refuse = || {
            let id = &container.record.id;
            ContainerError::Conflict(format!(
                "cannot kill container: {text}: container {id} is not running"
            ))
        };
        let process = running_process(&container)?.ok_or_else(refuse)?;
        if signal != Signal::KILL {
            return if process.signal(signal)? { Ok(()) } else { Err(refuse()) };
        }
        end(&container.record, &process)?;
        process.wait(None)?;
        self.wait_for_end(&container.record.id).map(drop)
    }

    /// Has a container end: by its signal, and after `timeout` by force. Without one it is the container's own; a
    /// negative one is no end of patience.
    ///
    /// # Errors
    ///
    /// When there is no such signal, or something is in the way.
    pub fn stop(
        &self,
        text: &str,
        signal: Option<&str>,
        timeout: Option<i64>,
    ) -> Result<(), ContainerError> {
        let container = self.find(text)?;
        let record = &container.record;
        let own = Some(record.config.stop_signal.as_str()).filter(|signal| !signal.is_empty());
        let signal = parse_signal(signal.or(own).unwrap_or("TERM"))?;
        let Some(process) = running_process(&container)? else {
            return match container.status.is_running() {
                // That it has ended is just being written down.
                true => self.wait_for_end(&record.id).map(drop),
                false => Ok(()),
            };
        };
        let patience = match timeout.or(record.config.stop_timeout) {
            None => Some(STOP_TIMEOUT),
            Some(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
        };
        process.signal(signal)?;
        if !process.wait(patience)? {
            end(record, &process)?;
            process.wait(None)?;
        }
        self.wait_for_end(&record.id).map(drop)
    }

    /// Stops a container and starts it again. What people should know although it works is given back.
    ///
    /// # Errors
    ///
    /// As of both.
    pub fn restart(
        &self,
        text: &str,
        signal: Option<&str>,
        timeout: Option<i64>,
    ) -> Result<Vec<String>, ContainerError> {
        let id = self.find(text)?.record.id;
        self.stop(id.as_str(), signal, timeout)?;
        match self.start(id.as_str())? {
            Some(attachment) => attachment.started(),
            None => Ok(Vec::new()),
        }
    }

    /// Stops all processes of a container where they are.
    ///
    /// # Errors
    ///
    /// When it does not run, or is paused already.
    pub fn pause(&self, text: &str) -> Result<(), ContainerError> {
        let container = self.find(text)?;
        let id = &container.record.id;
        match container.status {
            Status::Running => freeze(&container.record, true),
            Status::Paused => {
                Err(ContainerError::Conflict(format!("Container {id} is already paused")))
            }
            _ => Err(ContainerError::Conflict(format!("Container {id} is not running"))),
        }
    }

    /// Lets them go on.
    ///
    /// # Errors
    ///
    /// When it is not paused.
    pub fn unpause(&self, text: &str) -> Result<(), ContainerError> {
        let container = self.find(text)?;
        let id = &container.record.id;
        match container.status {
            Status::Paused => freeze(&container.record, false),
            _ => Err(ContainerError::Conflict(format!("Container {id} is not paused"))),
        }
    }

    /// Waits until a container has ended, and gives its exit code.
    ///
    /// # Errors
    ///
    /// When there is no such container, or it could not be started.
    pub fn wait(&self, text: &str) -> Result<u8, ContainerError> {
        let id = self.find(text)?.record.id;
        self.wait_for_end(&id)
    }

    /// The same of one that is known, whether it is removed meanwhile or not.
    pub(super) fn wait_for_end(&self, id: &ContainerId) -> Result<u8, ContainerError> {
        let mut last = 0;
        loop {
            if let Some(attachment) = self.connect(id) {
                match attachment.ended()? {
                    Some(code) => return Ok(code),
                    // Somebody takes it up.
                    None => drop(self.collect()),
                }
            }
            let container = match self.store.look(id) {
                Err(ContainerError::NotFound(_)) => return Ok(last),
                other => other?,
            };
            let has_monitor = match &container.running {
                Some(running) => Process::of(&running.monitor)?.is_some(),
                None => false,
            };
            last = container.ended.as_ref().map_or(0, |ended| ended.exit_code);
            match (has_monitor, container.status.is_running()) {
                (true, _) => {}
                (false, true) => self.take_charge(&container)?,
                (false, false) => return Ok(last),
            }
            sleep(PAUSE);
        }
    }

    /// Sees to a container whose monitor is gone. What goes wrong once its end is written down is for the next command
    /// that looks.
    fn take_charge(&self, container: &Container) -> Result<(), ContainerError> {
        let runs = || self.store.look(&container.record.id).is_ok_and(|it| it.status.is_running());
        match self.look_after(container) {
            Err(error) if runs() => Err(error),
            _ => Ok(()),
        }
    }

    /// Attaches to a container that runs.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn attach(&self, text: &str) -> Result<(Container, Attachment), ContainerError> {
        let container = self.find(text)?;
        match container.status {
            Status::Running => {}
            Status::Paused => {
                return Err(ContainerError::Conflict(
                    "cannot attach to a paused container, unpause it first".to_owned(),
                ));
            }
            _ => {
                return Err(ContainerError::Conflict(
                    "cannot attach to a stopped container, start it first".to_owned(),
                ));
            }
        }
        loop {
            if let Some(attachment) = self.connect(&container.record.id) {
                return Ok((container, attachment));
            }
            if !self.store.look(&container.record.id)?.lives()? {
                return Err(ContainerError::Conflict(
                    "cannot attach to a stopped container, start it first".to_owned(),
                ));
            }
            sleep(PAUSE);
        }
    }

    /// A connection to the monitor of a container, if there is one that listens.
    fn connect(&self, id: &ContainerId) -> Option<Attachment> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(self.store.run(id), flags, Mode::empty()).ok()?;
        UnixStream::connect(path_in(&folder, SOCKET)).ok().map(Attachment::new)
    }
}

/// Reads the name or the number of a signal.
fn parse_signal(text: &str) -> Result<Signal, ContainerError> {
    signals::parse(text).map_err(|_| ContainerError::Invalid(format!("invalid signal: {text}")))
}

fn running_process(container: &Container) -> Result<Option<Process>, ContainerError> {
    container.program().map_or(Ok(None), Process::of)
}

/// Ends a program by force. Where it does not have its processes for itself, all in its cgroup end with it.
fn end(record: &Record, process: &Process) -> Result<(), ContainerError> {
    let own = matches!(record.host_config.pid_mode, PidMode::Private);
    if own {
        process.signal(Signal::KILL)?;
    }
    let cgroup = cgroup(record).map_err(runtime)?;
    if !own {
        return cgroup.signal(Signal::KILL).map_err(runtime);
    }
    // Whoever is paused does not end before it is resumed.
    if cgroup.is_frozen().unwrap_or(false) {
        cgroup.freeze(false).map_err(runtime)?;
    }
    Ok(())
}

fn freeze(record: &Record, frozen: bool) -> Result<(), ContainerError> {
    cgroup(record).and_then(|cgroup| cgroup.freeze(frozen)).map_err(runtime)
}

pub(super) fn runtime(error: crate::oci::error::Error) -> ContainerError {
    ContainerError::Conflict(error.to_string())
}
