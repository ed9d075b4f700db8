//! Which images there are, and by which names: one small file, replaced whole.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use berth_oci::{Descriptor, Digest};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::super::error::{Doing as _, ImageError};

/// What the file says.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(in super::super) struct Catalogue {
    /// Images by their id, which is the digest of the configuration.
    pub(in super::super) images: BTreeMap<Digest, Entry>,
    /// Whole names, with a tag or a digest, and the image that each stands for.
    pub(in super::super) names: BTreeMap<String, Digest>,
}

/// An image.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(in super::super) struct Entry {
    /// Its manifest.
    pub(in super::super) manifest: Descriptor,
    /// When it got its last tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in super::super) tagged: Option<Timestamp>,
}

/// Where the file is.
#[derive(Clone, Debug)]
pub(super) struct CatalogueFile {
    path: PathBuf,
    lock: PathBuf,
}

impl CatalogueFile {
    pub(super) fn new(root: &Path) -> Self {
        Self { path: root.join("images.json"), lock: root.join("lock") }
    }

    pub(super) fn read(&self) -> Result<Catalogue, ImageError> {
        match fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| ImageError::File {
                path: self.path.display().to_string(),
                reason: error.to_string(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Catalogue::default()),
            Err(error) => Err(error).doing(|| format!("read {}", self.path.display())),
        }
    }

    /// Keeps it from being changed.
    pub(super) fn held(&self) -> io::Result<File> {
        locked(&self.lock, FlockOperation::LockShared)
    }

    /// Changes it, one at a time over all processes. What comes in between two changes is the one or the
    /// other, whatever happens; a change that is refused leaves nothing.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Catalogue) -> Result<T, ImageError>,
    ) -> Result<T, ImageError> {
        let doing = || format!("write {}", self.path.display());
        let _lock = locked(&self.lock, FlockOperation::LockExclusive).doing(doing)?;
        let before = self.read()?;
        let mut catalogue = before.clone();
        let answer = change(&mut catalogue)?;
        if catalogue != before {
            self.replace(&catalogue).doing(doing)?;
        }
        Ok(answer)
    }

    fn replace(&self, catalogue: &Catalogue) -> io::Result<()> {
        let unfinished = self.path.with_extension("json.new");
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&serde_json::to_vec(catalogue)?)?;
        file.sync_data()?;
        fs::rename(&unfinished, &self.path)?;
        match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// A lock on a file, which ends with what is returned, and with the process.
pub(super) fn locked(path: &Path, operation: FlockOperation) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path)?;
    flock(&file, operation)?;
    Ok(file)
}
