//! Which roots are made of which layers: files under `<run>/layers`, so that it is known whatever
//! process is gone.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use berth_oci::{Algorithm, Digest, Hasher};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::unmount_at;
use crate::layers::error::{Doing as _, LayerError};
use crate::layers::store::name_of;

/// How the name of a record ends that is not whole yet.
const NEW: &str = "new";

/// The records, held so that nobody else changes them.
pub(super) struct Users {
    run: PathBuf,
    _lock: File,
}

/// What a root is made of.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    target: PathBuf,
    layers: Vec<Digest>,
}

impl Users {
    pub(super) fn lock(run: &Path) -> Result<Self, LayerError> {
        let lock = File::open(run).doing(|| format!("open {}", run.display()))?;
        flock(&lock, FlockOperation::LockExclusive).doing(|| format!("lock {}", run.display()))?;
        Ok(Self { run: run.to_owned(), _lock: lock })
    }

    /// Records that `layers` are in use at `target`, before they are.
    pub(super) fn add(&self, target: &Path, layers: &[Digest]) -> Result<(), LayerError> {
        let path = self.record(target);
        let record = Record { target: target.to_owned(), layers: layers.to_vec() };
        let record = serde_json::to_vec(&record).map_err(io::Error::from);
        make(&self.run.join("roots"))?;
        let written = record.and_then(|record| {
            let scratch = path.with_extension(NEW);
            fs::write(&scratch, record)?;
            fs::rename(&scratch, &path)
        });
        written.doing(|| format!("write {}", path.display()))?;
        for layer in layers {
            let users = self.users(layer);
            make(&users)?;
            let user = users.join(key(target));
            File::create(&user).doing(|| format!("make {}", user.display()))?;
        }
        Ok(())
    }

    /// Forgets the root at `target`, and unmounts the layers that were in use there alone.
    pub(super) fn remove(&self, target: &Path) -> Result<(), LayerError> {
        self.forget(&key(target))
    }

    fn forget(&self, key: &str) -> Result<(), LayerError> {
        let path = self.run.join("roots").join(key);
        // Of one who was killed while it wrote it.
        let scratch = path.with_extension(NEW);
        gone(fs::remove_file(&scratch)).doing(|| format!("remove {}", scratch.display()))?;
        let Some(record) = read(&path)? else { return Ok(()) };
        for layer in &record.layers {
            gone(fs::remove_file(self.users(layer).join(key)))
                .doing(|| format!("release layer {layer}"))?;
            self.unmount_unused(layer)?;
        }
        gone(fs::remove_file(&path)).doing(|| format!("remove {}", path.display()))
    }

    /// Unmounts a layer, unless a root is made of it that is still mounted.
    pub(super) fn release(&self, layer: &Digest) -> Result<(), LayerError> {
        let users = self.users(layer);
        let entries = match fs::read_dir(&users) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.doing(|| format!("read {}", users.display()))?,
        };
        for entry in entries {
            let user = entry.doing(|| format!("read {}", users.display()))?;
            let key = user.file_name().to_string_lossy().into_owned();
            let record = read(&self.run.join("roots").join(&key))?;
            if let Some(Record { target, .. }) = record.filter(|record| is_mounted(&record.target))
            {
                return Err(LayerError::Busy {
                    diff_id: *layer,
                    user: target.display().to_string(),
                });
            }
            // Whoever mounted it has died, or the machine has been started again.
            self.forget(&key)?;
            gone(fs::remove_file(user.path())).doing(|| format!("release layer {layer}"))?;
        }
        self.unmount_unused(layer)
    }

    fn unmount_unused(&self, layer: &Digest) -> Result<(), LayerError> {
        match fs::remove_dir(self.users(layer)) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => return Ok(()),
            other => gone(other).doing(|| format!("release layer {layer}"))?,
        }
        let folder = self.run.join(name_of(layer));
        unmount_at(&self.place(layer))?;
        gone(fs::remove_dir(self.place(layer)))
            .and_then(|()| gone(fs::remove_dir(&folder)))
            .doing(|| format!("remove {}", folder.display()))
    }

    /// Where a layer is mounted, once for all: a folder that is there.
    pub(super) fn mount_point(&self, layer: &Digest) -> Result<PathBuf, LayerError> {
        let place = self.place(layer);
        make(&place)?;
        Ok(place)
    }

    fn place(&self, layer: &Digest) -> PathBuf {
        self.run.join(name_of(layer)).join("mount")
    }

    fn users(&self, layer: &Digest) -> PathBuf {
        self.run.join(name_of(layer)).join("users")
    }

    fn record(&self, target: &Path) -> PathBuf {
        self.run.join("roots").join(key(target))
    }
}

/// A name for `target` that is one of a file.
fn key(target: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    Hasher::digest(Algorithm::Sha256, target.as_os_str().as_bytes()).hex()
}

fn read(record: &Path) -> Result<Option<Record>, LayerError> {
    match fs::read(record) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => {
            let text = other.doing(|| format!("read {}", record.display()))?;
            let record = serde_json::from_slice(&text).map_err(io::Error::from);
            record.doing(|| "read what a root is made of").map(Some)
        }
    }
}

fn make(folder: &Path) -> Result<(), LayerError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.doing(|| format!("make {}", folder.display()))
}

/// That it is not there is what was wanted.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether something is mounted at `target`.
fn is_mounted(target: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(CWD, target, flags, StatxFlags::empty())
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_record_that_is_half_written_nothing_is_left() {
        let run = tempfile::tempdir().unwrap();
        let users = Users::lock(run.path()).unwrap();
        let target = Path::new("/run/one/rootfs");
        users.add(target, &[]).unwrap();
        fs::rename(users.record(target), users.record(target).with_extension(NEW)).unwrap();
        users.remove(target).unwrap();
        assert_eq!(fs::read_dir(run.path().join("roots")).unwrap().count(), 0);
    }
}
