//! From a program that has ended to nothing that is left of it.

use std::os::fd::OwnedFd;

use super::Monitor;
use super::bring_up::ROOT;
use super::clients::Clients;
use super::watch::Past;
use crate::containers::engine::Engine;
use crate::containers::error::ContainerError;
use crate::containers::id::ContainerId;
use crate::containers::process::unpin;
use crate::containers::record::{Ended, Record};
use crate::containers::runtime::{PIN, Runtime};
use crate::containers::store::{cgroup, remove_all};
use crate::containers::wire::Failure;
use crate::layers::LayerStore;
use crate::network::Networks;

impl Monitor {
    /// Writes down how it ended, gives all back, and tells whoever waits as soon as what they may ask for next is
    /// there: the name, the ports, the image, the volumes.
    pub(super) fn finish(&self, past: Past, clients: Clients) {
        let Past { ended, is_unsettled, networks, endpoint } = past;
        let code = ended.exit_code;
        let is_removed = self.write_end(&ended, false);
        drop(endpoint);
        // What goes wrong here is tried again by the next command that looks.
        let _ = networks.detach(self.record.id.as_str());
        let root = detach_root(&self.engine, &self.record);
        if is_removed {
            let _ = self.engine.remove_volumes(&self.record);
        }
        clients.exited(code);
        // For these the kernel may wait: for its processors, for the disk.
        drop((networks, root));
        let released = release(&self.engine, &self.record);
        if !is_removed {
            let _ = self.engine.store.write_ended(&self.held.id, &ended, true);
        }
        let given_back = released.and_then(|()| dispose(&self.engine, &self.record));
        self.discard(is_removed, given_back);
        if is_unsettled {
            let _ = self.engine.collect();
        }
    }

    /// The same of a program that was never there.
    pub(super) fn give_up(&self, failure: &Failure, mut clients: Clients) {
        let ended = Ended {
            exit_code: failure.code,
            error: failure.message.clone(),
            finished_at: None,
            ..Ended::default()
        };
        let is_removed = self.write_end(&ended, false);
        let given_back = give_back(&self.engine, &self.record);
        self.discard(is_removed, given_back);
        clients.failed(failure);
        clients.drain();
    }

    /// `true` when the container is gone with its end.
    fn write_end(&self, ended: &Ended, lasting: bool) -> bool {
        let store = &self.engine.store;
        if self.record.host_config.auto_remove {
            // It may have another name by now.
            let name =
                store.record(&self.held.id).map_or(self.record.name.clone(), |record| record.name);
            return store.remove(&self.held, &name).is_ok();
        }
        let _ = store.write_ended(&self.held.id, ended, lasting);
        false
    }

    /// Removes what is left of one that is gone with its end. Where something could not be given back, its record
    /// stays for the next command that looks, which learns from it what that is.
    fn discard(&self, is_removed: bool, given_back: Result<(), ContainerError>) {
        if is_removed && given_back.is_ok() {
            let _ = self.engine.discard(&self.record);
        }
    }

    /// How often the kernel killed a process of the container for its memory.
    pub(super) fn memory_kills(&self) -> u64 {
        cgroup(&self.record).map_or(0, |cgroup| cgroup.memory_kills())
    }
}

/// Gives back all that a container has while it runs, whoever has begun with that and however far. It has
/// no process any more that is to go on.
pub(in crate::containers) fn give_back(
    engine: &Engine,
    record: &Record,
) -> Result<(), ContainerError> {
    release(engine, record)?;
    dispose(engine, record)
}

/// The same of a container of which nothing but its id is known.
pub(in crate::containers) fn give_back_unknown(
    engine: &Engine,
    id: &ContainerId,
) -> Result<(), ContainerError> {
    let run = engine.store.run(id);
    Networks::open(&engine.roots)?.detach(id.as_str())?;
    LayerStore::open(&engine.roots)?.unmount_root(&run.join(ROOT))?;
    Runtime::named("", engine.roots.run()).delete(id)?;
    unpin(&run.join(PIN))?;
    remove_all(&run)
}

/// Takes the root away from where others see it.
fn detach_root(engine: &Engine, record: &Record) -> Result<Option<OwnedFd>, ContainerError> {
    let root = engine.store.run(&record.id).join(ROOT);
    Ok(LayerStore::open(&engine.roots)?.detach_root(&root)?)
}

/// Gives back what others may want: addresses, ports, layers.
fn release(engine: &Engine, record: &Record) -> Result<(), ContainerError> {
    Networks::open(&engine.roots)?.detach(record.id.as_str())?;
    Ok(LayerStore::open(&engine.roots)?.unmount_root(&engine.store.run(&record.id).join(ROOT))?)
}

/// Removes what nobody wants: the cgroup, the folder of what runs.
fn dispose(engine: &Engine, record: &Record) -> Result<(), ContainerError> {
    Runtime::named(&record.host_config.runtime, engine.roots.run()).delete(&record.id)?;
    if let Ok(cgroup) = cgroup(record) {
        cgroup.remove().map_err(|error| ContainerError::Conflict(error.to_string()))?;
    }
    let run = engine.store.run(&record.id);
    unpin(&run.join(PIN))?;
    remove_all(&run)
}
