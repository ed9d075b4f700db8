//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// What every part needs to know.
#[derive(Debug)]
pub(crate) struct Context {
    /// The root of the tree.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Tools (`bin/`) and prepared images, kept outside the tree so that a fresh clone need not make them again.
    pub(crate) cache: PathBuf,
    /// Whether parts that cannot run on this machine are accepted.
    pub(crate) allow_missing: bool,
}

impl Context {
    pub(crate) fn new(allow_missing: bool) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |target| root.join(target));
        Ok(Self { root, target, cache: cache()?, allow_missing })
    }

    /// The optimised build of the server.
    pub(crate) fn berth(&self) -> PathBuf {
        self.target.join("optimised/berth")
    }

    /// The programs that Debian does not have.
    pub(crate) fn bin(&self) -> PathBuf {
        self.cache.join("bin")
    }
}

/// `$BERTH_CACHE`, or `berth-tools` where this user's caches are.
fn cache() -> Result<PathBuf> {
    if let Some(cache) = env::var_os("BERTH_CACHE") {
        return Ok(PathBuf::from(cache));
    }
    let caches = match env::var_os("XDG_CACHE_HOME") {
        Some(caches) => PathBuf::from(caches),
        None => {
            PathBuf::from(env::var_os("HOME").context("neither HOME nor XDG_CACHE_HOME is set")?)
                .join(".cache")
        }
    };
    Ok(caches.join("berth-tools"))
}
