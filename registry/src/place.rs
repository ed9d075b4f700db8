use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use berth_config::{Config, Driver};
use berth_storage_backends::{BlobStore, FilesystemStore, StoreError, open_remote};
use serde::{Deserialize, Serialize};

use crate::error::UpkeepError;

/// Where images are that are not the registry's own, or shall go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In a folder.
    Folder(PathBuf),
    /// In the storage that a configuration file names. Variables of the environment are settings of this
    /// registry, and mean nothing there.
    Storage(PathBuf),
}

impl Place {
    /// What a person names by a path: a file is the configuration of a storage, all else a folder.
    ///
    /// # Errors
    /// When the path is empty, or there is no current directory.
    pub fn named(path: &Path) -> io::Result<Self> {
        let whole = std::path::absolute(path)?;
        Ok(match whole.is_file() {
            true => Self::Storage(whole),
            false => Self::Folder(whole),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Storage(path) => path,
        }
    }

    /// Opens it as it is: nothing is made there.
    pub(crate) fn open_to_read(&self) -> Result<Arc<dyn BlobStore>, UpkeepError> {
        self.open(|root| Ok(FilesystemStore::as_it_is(root)))
    }

    /// Opens it for a tree of `registry:2`, whose folders are made where they are missing.
    pub(crate) fn open_to_write(&self) -> Result<Arc<dyn BlobStore>, UpkeepError> {
        self.open(FilesystemStore::open)
    }

    fn open(
        &self,
        folder: impl FnOnce(&Path) -> Result<FilesystemStore, StoreError>,
    ) -> Result<Arc<dyn BlobStore>, UpkeepError> {
        let unusable = |reason: String| UpkeepError::Unusable { place: self.clone(), reason };
        let open = |root: &Path| -> Result<Arc<dyn BlobStore>, UpkeepError> {
            Ok(Arc::new(folder(root).map_err(|error| unusable(error.to_string()))?))
        };
        let file = match self {
            Self::Folder(root) => return open(root),
            Self::Storage(file) => file,
        };
        let loaded =
            Config::load(Some(file.as_path()), []).map_err(|error| unusable(error.to_string()))?;
        let config = loaded.config;
        match (config.storage.remote(), config.storage.driver()) {
            (Some(remote), _) => open_remote(remote).map_err(|error| unusable(error.to_string())),
            (None, Driver::InMemory) => Err(unusable("it keeps everything in memory".to_owned())),
            (None, _) => open(config.root_directory().unwrap_or(Path::new("."))),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Storage(path) => write!(f, "the storage of {}", path.display()),
        }
    }
}
