//! Removing containers.

use super::engine::Engine;
use super::error::ContainerError;
use super::monitor::give_back;
use super::record::{Container, Record};

impl Engine {
    /// Removes a container; with `force` also one that runs, with `volumes` also the anonymous volumes that it has.
    ///
    /// # Errors
    ///
    /// When it runs, without force.
    pub fn remove(&self, text: &str, force: bool, volumes: bool) -> Result<(), ContainerError> {
        let container = self.find(text)?;
        let id = &container.record.id;
        if container.lives()? {
            if !force {
                return Err(refusal(&container, text));
            }
            match self.kill(id.as_str(), "KILL") {
                // It has ended by itself, or has even gone with its end.
                Ok(()) | Err(ContainerError::Conflict(_) | ContainerError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let held = match self.store.hold(id) {
            Err(ContainerError::NotFound(_)) => return Ok(()),
            Ok(None) => return Err(refusal(&self.store.look(id)?, text)),
            other => other?,
        };
        let Some(held) = held else { return Ok(()) };
        let record = self.store.record(id)?;
        if self.store.run(id).exists() {
            give_back(self, &record)?;
        }
        self.store.remove(&held, &record.name)?;
        if volumes {
            self.remove_volumes(&record)?;
        }
        self.store.discard(id)
    }

    /// Removes what is left of a container that has gone with its end. The record that says which volumes it
    /// had goes last: who is interrupted is repeated.
    pub(super) fn discard(&self, record: &Record) -> Result<(), ContainerError> {
        self.remove_volumes(record)?;
        self.store.discard(&record.id)
    }

    /// How many bytes a container has written to its root.
    #[must_use]
    pub fn size(&self, container: &Container) -> u64 {
        size(&self.store.data(&container.record.id).join("upper"))
    }
}

fn refusal(container: &Container, text: &str) -> ContainerError {
    ContainerError::Conflict(format!(
        "cannot remove container \"{text}\": container is {}: stop the container before removing or force remove",
        container.status
    ))
}

/// The bytes of all files in a folder.
fn size(folder: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let found = entry.metadata().ok()?;
            Some(match found.is_dir() {
                true => size(&entry.path()),
                false => found.blocks() * 512,
            })
        })
        .sum()
}
