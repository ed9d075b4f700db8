//! What a container and its volumes have to do with each other.

use std::error::Error;
use std::path::Path;

use super::engine::Engine;
use super::error::ContainerError;
use super::id::ContainerId;
use super::record::Record;
use crate::spec::MountPoint;
use crate::volumes::{InUse, VolumeError, VolumeStore, VolumeUsers};

impl Engine {
    /// The volumes beside these containers.
    #[must_use]
    pub fn volumes(&self) -> VolumeStore {
        VolumeStore::open(&self.roots)
    }

    /// Makes the volumes that a container is to have, and fills in what was left open. None of them goes as long as
    /// what is given back is there, and then as long as the container is recorded.
    pub(super) fn make_volumes(
        &self,
        id: &ContainerId,
        points: &mut [MountPoint],
    ) -> Result<Option<InUse>, ContainerError> {
        if points.is_empty() {
            return Ok(None);
        }
        if points.iter().any(MountPoint::is_anonymous) {
            // Whoever finds this after a crash knows which to remove.
            self.store.write_mounts(id, points)?;
        }
        let volumes = self.volumes();
        let kept = volumes.keep()?;
        volumes.prepare(points)?;
        Ok(Some(kept))
    }

    /// Gives volumes that are new what the image has in their places.
    pub(super) fn fill_volumes(&self, record: &Record, root: &Path) -> Result<(), ContainerError> {
        Ok(self.volumes().fill(&record.mounts, root)?)
    }

    /// Removes the volumes that nobody has named.
    pub(super) fn remove_volumes(&self, record: &Record) -> Result<(), ContainerError> {
        self.remove_anonymous(&record.mounts)
    }

    pub(super) fn remove_anonymous(&self, points: &[MountPoint]) -> Result<(), ContainerError> {
        let volumes = self.volumes();
        for point in points.iter().filter(|point| point.is_anonymous()) {
            match volumes.remove(&point.name, self) {
                // Somebody else has it as well,
                Err(VolumeError::InUse { .. }) => {}
                // or has removed it, or was killed while it was made or removed.
                Err(VolumeError::NotFound(_)) => volumes.sweep(),
                other => other?,
            }
        }
        Ok(())
    }
}

impl VolumeUsers for Engine {
    fn users(&self, volume: &str) -> Result<Vec<String>, Box<dyn Error + Send + Sync>> {
        let has = |point: &MountPoint| point.name == volume;
        let all = self.store.all()?.into_iter();
        let users = all.filter(|container| container.record.mounts.iter().any(has));
        Ok(users.map(|container| container.record.id.to_string()).collect())
    }
}
