//! The folder that the program begins in.

use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::{ContainerConfig, SpecError};
use crate::oci::RootDirectory;

/// Makes the working directory in the root at `root`, if it is not there.
///
/// # Errors
///
/// When something is in its place that is no folder.
pub fn make_working_directory(root: &Path, config: &ContainerConfig) -> Result<(), SpecError> {
    let path = Path::new(&config.working_dir);
    if matches!(config.working_dir.as_str(), "" | "/") {
        return Ok(());
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(root, flags, Mode::empty())
        .map_err(|source| SpecError::File { path: root.to_owned(), source: source.into() })?;
    match RootDirectory::new(root).make_directory(path, 0o755) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            Err(SpecError::invalid(format!("Cannot mkdir: {} is not a directory", path.display())))
        }
        Err(source) => Err(SpecError::File { path: path.to_owned(), source }),
    }
}
