//! What is done about those who were killed in the middle of something.

use std::fs;

use super::engine::Engine;
use super::error::ContainerError;
use super::id::ContainerId;
use super::monitor::{self, give_back};
use super::process::{Process, UNKNOWN_CODE, pinned_outcome};
use super::record::{Container, Ended, Record, Running};
use super::runtime;
use super::store::{Held, remove_all};
use crate::network::Networks;
use crate::oci::container::Identity;
use crate::spec::MountPoint;

/// What is said of a program whose exit code nobody knows.
const UNKNOWN: &str = "the monitor of the container was killed, and nobody knows the exit code";
/// The same where nothing is there any more that says that it ran.
const LOST: &str = "the machine went down while the container ran, and nobody knows the exit code";

impl Engine {
    /// Gives back what is left of all that were killed: programs without a monitor get another one, containers
    /// that have ended unseen are written down as such, and what nobody has any more is removed.
    ///
    /// # Errors
    ///
    /// When the folders cannot be read. What goes wrong with one container does not hold up the others.
    pub fn collect(&self) -> Result<(), ContainerError> {
        for id in self.store.running_ids()? {
            let _ = self.collect_running(&id);
        }
        for id in self.store.ids()? {
            if !self.store.is_there(&id) {
                let _ = self.collect_unfinished(&id);
            } else if self.is_lost(&id) {
                let _ = self.collect_lost(&id);
            }
        }
        for id in self.store.discarded()? {
            // Whoever removes it is still about it where something of it runs.
            if !self.store.run(&id).exists() {
                let _ = self.collect_discarded(&id);
            }
        }
        for (name, id) in self.store.names.all()? {
            if !self.store.data(&id).exists() {
                let _ = self.store.names.release(&name, &id);
            }
        }
        Ok(())
    }

    /// The same for one container that somebody looks at. `true` when something was done.
    pub(super) fn look_after(&self, container: &Container) -> Result<bool, ContainerError> {
        let Container { record, running, .. } = container;
        let is_orphan = match running {
            Some(running) => Process::of(&running.monitor)?.is_none(),
            None if self.is_lost(&record.id) => {
                return self.collect_lost(&record.id).map(|()| true);
            }
            // Unless it is just being started, the start broke off.
            None => record.host_config.auto_remove && self.store.run(&record.id).exists(),
        };
        if is_orphan { self.collect_running(&record.id).map(|()| true) } else { Ok(false) }
    }

    fn collect_running(&self, id: &ContainerId) -> Result<(), ContainerError> {
        if let Some(running) = self.store.running(id)?
            && Process::of(&running.monitor)?.is_some()
        {
            return Ok(());
        }
        let held = match self.store.try_hold(id) {
            // Its monitor was killed while it removed it.
            Err(ContainerError::NotFound(_)) => return self.collect_removed(id),
            Ok(None) => return Ok(()),
            other => other?,
        };
        // Somebody else may have done all meanwhile.
        match held {
            Some(held) if self.store.run(id).exists() => self.take_over(held),
            _ => Ok(()),
        }
    }

    /// Takes charge of a container whose monitor is gone.
    fn take_over(&self, held: Held) -> Result<(), ContainerError> {
        let record = match self.store.record(&held.id) {
            Err(ContainerError::NotFound(_)) => return self.give_up_unfinished(&held),
            other => other?,
        };
        let running = match self.store.running(&held.id)? {
            Some(running) if running.program.is_none() => {
                let found = self.find_program(&record, running)?;
                self.store.write_running(&held.id, &found)?;
                Some(found)
            }
            other => other,
        };
        let program = running.as_ref().and_then(|running| running.program.as_ref());
        if let (Some(running), Some(program)) = (&running, program)
            && Process::of(program)?.is_some()
        {
            return monitor::adopt(self, held, record, running.clone());
        }
        self.end_unseen(&held, &record, running)
    }

    /// Writes down the end of a program that nobody has seen end, and gives all back.
    pub(super) fn end_unseen(
        &self,
        held: &Held,
        record: &Record,
        running: Option<Running>,
    ) -> Result<(), ContainerError> {
        // A monitor may have been killed after it had written that down.
        let before = self.store.ended(&held.id)?;
        let unwritten =
            |running: &Running| running.started_at.is_some() && !running.is_over(before.as_ref());
        if let Some(running) = running.filter(unwritten) {
            let outcome = pinned_outcome(&self.store.run(&held.id).join(runtime::PIN));
            let ended = Ended {
                started_at: running.started_at,
                finished_at: Some(jiff::Timestamp::now()),
                exit_code: outcome.code,
                error: if outcome.is_known { String::new() } else { UNKNOWN.to_owned() },
                ..Ended::default()
            };
            self.store.write_ended(&held.id, &ended, true)?;
        }
        self.leave(held, record)
    }

    /// Gives all back of a container whose end is written down, and removes it if it goes with that.
    fn leave(&self, held: &Held, record: &Record) -> Result<(), ContainerError> {
        give_back(self, record)?;
        if record.host_config.auto_remove {
            self.store.remove(held, &record.name)?;
            self.discard(record)?;
        }
        Ok(())
    }

    /// Whether a program was started whose end nobody has written down, and the folder of what runs is gone: it was in
    /// the memory of a machine that went down.
    fn is_lost(&self, id: &ContainerId) -> bool {
        self.store.begun(id).is_some() && !self.store.run(id).exists()
    }

    fn collect_lost(&self, id: &ContainerId) -> Result<(), ContainerError> {
        let Some(held) = self.store.try_hold(id)? else { return Ok(()) };
        let Some(begun) = self.store.begun(id).filter(|_| self.is_lost(id)) else { return Ok(()) };
        let record = self.store.record(id)?;
        // It may have been written down that it had ended, and not yet for long.
        let before = self.store.ended(id)?.unwrap_or_default();
        let ended = match before.started_at {
            Some(started_at) if started_at >= begun => before,
            _ => Ended {
                started_at: Some(begun),
                finished_at: Some(jiff::Timestamp::now()),
                exit_code: UNKNOWN_CODE,
                error: LOST.to_owned(),
                ..Ended::default()
            },
        };
        self.store.write_ended(id, &ended, true)?;
        self.leave(&held, &record)
    }

    /// What the runtime has started, although the monitor was killed before it could write that down.
    fn find_program(
        &self,
        record: &Record,
        mut running: Running,
    ) -> Result<Running, ContainerError> {
        let Some((pid, started_at)) = runtime::started_unseen(&self.store.run(&record.id)) else {
            return Ok(running);
        };
        running.started_at = Some(started_at);
        running.program = Identity::of(pid).ok().filter(|_| {
            // The number may be another's by now, who is not in the container's cgroup.
            let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            cgroups.contains(record.id.as_str())
        });
        running.network = Networks::open(&self.roots)?.settings(record.id.as_str())?;
        Ok(running)
    }

    fn collect_removed(&self, id: &ContainerId) -> Result<(), ContainerError> {
        if let Some(record) = self.store.removed_record(id)? {
            give_back(self, &record)?;
            return self.collect_discarded(id);
        }
        // Nothing says any more what it was. It was begun, and had no program yet.
        monitor::give_back_unknown(self, id)
    }

    /// One whose folders are all that is left of it.
    fn collect_discarded(&self, id: &ContainerId) -> Result<(), ContainerError> {
        match self.store.removed_record(id)? {
            Some(record) if record.host_config.auto_remove => self.discard(&record),
            _ => self.store.discard(id),
        }
    }

    /// One that was never whole.
    fn collect_unfinished(&self, id: &ContainerId) -> Result<(), ContainerError> {
        let Some(held) = self.store.try_hold(id)? else { return Ok(()) };
        if self.store.is_there(id) {
            return Ok(());
        }
        self.give_up_unfinished(&held)
    }

    fn give_up_unfinished(&self, held: &Held) -> Result<(), ContainerError> {
        let mounts = self.store.mounts(&held.id)?;
        self.remove_unfinished(held, &mounts)
    }

    /// Removes what was made for a container that does not come to be.
    pub(super) fn remove_unfinished(
        &self,
        held: &Held,
        mounts: &[MountPoint],
    ) -> Result<(), ContainerError> {
        self.remove_anonymous(mounts)?;
        remove_all(&self.store.run(&held.id))?;
        self.store.remove(held, "")?;
        self.store.discard(&held.id)
    }
}
