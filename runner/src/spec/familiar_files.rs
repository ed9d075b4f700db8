//! Files that docker puts into every root, and programs look for.

use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::oci::RootDirectory;

/// By it programs know that they are in a container.
const MARK: &str = "/.dockerenv";
/// What is mounted, for programs that do not know of `/proc`.
const MOUNTS: &str = "/etc/mtab";

/// Makes them in the root at `root`, where they are not there.
///
/// # Errors
///
/// When the root is such that they cannot be: then nobody will miss them.
pub fn make_familiar_files(root: &Path) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = RootDirectory::new(rustix::fs::open(root, flags, Mode::empty())?);
    root.make_file(Path::new(MARK))?;
    match root.open(Path::new(MOUNTS), OFlags::PATH | OFlags::NOFOLLOW) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            root.make_link(Path::new("/proc/mounts"), Path::new(MOUNTS))
        }
        other => other.map(drop),
    }
}
