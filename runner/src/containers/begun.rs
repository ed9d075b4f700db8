//! That a program was started, said where it outlives the machine: what runs is told by a folder in memory.
//!
//! It is a link that leads nowhere and has the time for a name: making one writes no file.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use jiff::Timestamp;

use super::error::{ContainerError, Doing as _};
use super::id::ContainerId;
use super::store::Store;

const NAME: &str = "begun";

impl Store {
    /// Says that a program was started.
    pub(super) fn mark_begun(&self, id: &ContainerId, at: Timestamp) -> Result<(), ContainerError> {
        let path = self.begun_path(id);
        let make = || symlink(at.to_string(), &path);
        let made = match make() {
            // Of a program whose end was written down when that of the machine came.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&path).and_then(|()| make())
            }
            other => other,
        };
        made.doing(|| format!("make {}", path.display()))
    }

    /// When the program was started whose end is not written down, or not for long yet.
    pub(super) fn begun(&self, id: &ContainerId) -> Option<Timestamp> {
        fs::read_link(self.begun_path(id)).ok()?.to_str()?.parse().ok()
    }

    /// Says that its end is written down.
    pub(super) fn unmark_begun(&self, id: &ContainerId) -> Result<(), ContainerError> {
        let path = self.begun_path(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.doing(|| format!("remove {}", path.display())),
        }
    }

    fn begun_path(&self, id: &ContainerId) -> PathBuf {
        self.data(id).join(NAME)
    }
}
