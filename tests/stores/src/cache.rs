//! Where the programs are: the cache that `cargo xtask` keeps its tools in.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// `$BERTH_CACHE`, or `berth-tools` where this user's caches are.
pub(crate) fn cache() -> Result<PathBuf> {
    if let Some(cache) = env::var_os("BERTH_CACHE") {
        return Ok(PathBuf::from(cache));
    }
    let caches = match env::var_os("XDG_CACHE_HOME") {
        Some(caches) => PathBuf::from(caches),
        None => {
            let home = env::var_os("HOME").context("neither HOME nor XDG_CACHE_HOME is set")?;
            PathBuf::from(home).join(".cache")
        }
    };
    Ok(caches.join("berth-tools"))
}

/// A program inside the cache.
///
/// # Errors
///
/// It is not installed.
pub(crate) fn program(path: impl AsRef<Path>) -> Result<PathBuf> {
    let program = cache()?.join(path);
    ensure!(program.is_file(), "{} is not installed: run `cargo xtask setup`", program.display());
    Ok(program)
}
