//! Roots of containers: layers under a folder of the container's own.

mod copies;
mod layer;
mod overlay;
mod path;
mod probe;
mod users;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use berth_oci::Digest;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use super::error::{Doing as _, LayerError};
use super::prepare::FILES;
use super::rung::{Choice, Rung};
use super::store::LayerStore;
use crate::oci::kernel::mount::attach;
use overlay::Changes;
pub(super) use probe::{choose, known, unmount_in as unmount_trial_in};
use users::Users;

/// How a root is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedRoot {
    /// The way that was taken.
    pub rung: Rung,
    /// What the container has changed of its image: with [`Rung::Copy`] this is all of its files, else
    /// as overlay keeps it.
    pub upper: PathBuf,
    /// Why a better way was not taken, in words.
    pub notice: Option<String>,
}

impl LayerStore {
    /// Mounts `layers`, the lowest one first, at `target`, which is a folder. What is changed there is
    /// kept in the folder `writable`, and is there again the next time.
    ///
    /// Until [`LayerStore::unmount_root`] none of the layers can be removed.
    ///
    /// # Errors
    ///
    /// [`LayerError::NotFound`] when a layer is not here, or what the kernel has against it.
    pub fn mount_root(
        &self,
        layers: &[Digest],
        writable: &Path,
        target: &Path,
    ) -> Result<MountedRoot, LayerError> {
        self.mount_with(layers, writable, target, Changes::Kept)
    }

    /// The same for once: what is changed is there as long as the root is mounted. The kernel need not write any of
    /// it to the disk, and with it all that others have written there, when the root goes.
    ///
    /// # Errors
    ///
    /// As of [`LayerStore::mount_root`].
    pub fn mount_root_once(
        &self,
        layers: &[Digest],
        writable: &Path,
        target: &Path,
    ) -> Result<MountedRoot, LayerError> {
        self.mount_with(layers, writable, target, Changes::Dropped)
    }

    fn mount_with(
        &self,
        layers: &[Digest],
        writable: &Path,
        target: &Path,
        changes: Changes,
    ) -> Result<MountedRoot, LayerError> {
        if let Some(missing) = layers.iter().find(|layer| !self.has(layer)) {
            return Err(LayerError::NotFound(*missing));
        }
        let mounted = self.mount(layers, writable, target, changes);
        if mounted.is_err() {
            self.unmount_root(target)?;
        }
        mounted
    }

    /// Undoes [`LayerStore::mount_root`], by whatever process it was done; nothing where it was not, or
    /// in part where it was in part.
    ///
    /// # Errors
    ///
    /// What the kernel has against it.
    pub fn unmount_root(&self, target: &Path) -> Result<(), LayerError> {
        let users = Users::lock(&self.run)?;
        unmount_at(target)?;
        users.remove(target)
    }

    /// Takes a root away from where it is mounted: its layers can be removed. The kernel is done with it when what is
    /// given back is dropped, and that may take it long. [`LayerStore::unmount_root`] comes after it.
    ///
    /// # Errors
    ///
    /// What the kernel has against it.
    pub fn detach_root(&self, target: &Path) -> Result<Option<OwnedFd>, LayerError> {
        let root = openat(CWD, target, FOLDER, Mode::empty()).ok();
        unmount_at(target)?;
        Ok(root)
    }

    /// Unmounts a layer that no root is made of.
    pub(super) fn release(&self, diff_id: &Digest) -> Result<(), LayerError> {
        Users::lock(&self.run)?.release(diff_id)
    }

    fn mount(
        &self,
        layers: &[Digest],
        writable: &Path,
        target: &Path,
        changes: Changes,
    ) -> Result<MountedRoot, LayerError> {
        let Choice { rung, reason } = self.choice()?.clone();
        if layers.is_empty() {
            // An overlay has one layer at least.
            return self.mount_copy(layers, writable, target, None);
        }
        if rung == Rung::Copy || copies::of(writable).is_some() {
            return self.mount_copy(layers, writable, target, reason);
        }
        for layer in layers {
            self.complete(layer, rung)?;
        }
        let users = Users::lock(&self.run)?;
        users.add(target, layers)?;
        let lower = match rung {
            Rung::Erofs => self.mount_layers(&users, layers)?,
            _ => layers.iter().map(|layer| self.folder(layer).join(FILES)).collect(),
        };
        drop(users);
        let fresh = !overlay::is_prepared(writable);
        let mounting = || format!("mount {}", target.display());
        let upper = overlay::prepare(&lower, writable).doing(mounting)?;
        match overlay::create(&lower, writable, changes) {
            Ok(overlay) => {
                attach_at(overlay, target).doing(mounting)?;
                Ok(MountedRoot { rung, upper, notice: reason })
            }
            // Nothing is lost yet that would be in it.
            Err(error) if fresh => {
                let folder = writable.display();
                let notice =
                    format!("{folder} cannot carry an overlay, so all files are copied: {error}");
                overlay::remove(writable).doing(mounting)?;
                self.mount_copy(layers, writable, target, Some(notice))
            }
            Err(error) => Err(error).doing(mounting),
        }
    }

    /// Mounts the layers that are not mounted yet: where they are.
    fn mount_layers(&self, users: &Users, layers: &[Digest]) -> Result<Vec<PathBuf>, LayerError> {
        let mount = |layer: &Digest| {
            let place = users.mount_point(layer)?;
            if !layer::is_mounted(&place) {
                let mounted = layer::mount(&self.folder(layer), &place);
                mounted.doing(|| format!("mount layer {layer}"))?;
            }
            Ok(place)
        };
        layers.iter().map(mount).collect()
    }

    fn mount_copy(
        &self,
        layers: &[Digest],
        writable: &Path,
        target: &Path,
        notice: Option<String>,
    ) -> Result<MountedRoot, LayerError> {
        let upper = copies::prepare(self, layers, writable)?;
        copies::mount(&upper, target).doing(|| format!("mount {}", target.display()))?;
        Ok(MountedRoot { rung: Rung::Copy, upper, notice })
    }
}

const FOLDER: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Attaches a mount at the folder `target`.
fn attach_at(mount: OwnedFd, target: &Path) -> io::Result<()> {
    attach(mount, openat(CWD, target, FOLDER, Mode::empty())?)
}

/// Unmounts what is at `target`, if anything is, without waiting for who uses it.
fn unmount_at(target: &Path) -> Result<(), LayerError> {
    match unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        // Nothing is mounted there, or there is nothing.
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(error) => Err(error).doing(|| format!("unmount {}", target.display())),
    }
}
