//! What the tests need from outside, and how to get it.

pub(crate) mod cargo;
pub(crate) mod debian;
pub(crate) mod go;
pub(crate) mod stores;

use std::env;
use std::path::{Path, PathBuf};

use crate::context::Context;

/// Whether a program is where the tests look for it.
pub(crate) fn is_installed(context: &Context, program: &str) -> bool {
    find(context, program).is_some()
}

/// Where a program is: among our own tools, in Debian's folders, or on the PATH.
fn find(context: &Context, program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let debian = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    std::iter::once(context.bin())
        .chain(debian)
        .chain(env::split_paths(&path))
        .map(|folder| folder.join(program))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
