//! Where the engine keeps what it knows.

use std::path::{Path, PathBuf};

/// The two folders of an engine. What is under `data` outlives the machine's next start, what is under
/// `run` need not.
///
/// Two engines with different roots on one machine know nothing of each other.
///
/// ```text
/// <data>/images/      names, manifests, configurations and blobs
/// <data>/layers/      layers ready to be mounted
/// <data>/containers/  a folder for each container
/// <data>/volumes/     a folder for each volume
/// <data>/network/     the subnets of the bridge
/// <run>/containers/   a folder for each container that runs: sockets, mounts, process numbers
/// <run>/network/      addresses and ports that are taken
/// <run>/oci/          what `berth oci` knows of them
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    data: PathBuf,
    run: PathBuf,
}

impl Roots {
    /// The folders that `BERTH_DATA_ROOT` and `BERTH_EXEC_ROOT` name, or `/var/lib/berth` and
    /// `/run/berth`.
    #[must_use]
    pub fn from_environment() -> Self {
        let folder = |name: &str, default: &str| {
            let set = std::env::var_os(name).filter(|value| !value.is_empty());
            set.map_or_else(|| PathBuf::from(default), PathBuf::from)
        };
        Self::new(
            folder("BERTH_DATA_ROOT", "/var/lib/berth"),
            folder("BERTH_EXEC_ROOT", "/run/berth"),
        )
    }

    /// These folders, which need not be there yet.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>, run: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), run: run.into() }
    }

    /// The folder of what lasts.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The folder of what a new start of the machine may forget.
    #[must_use]
    pub fn run(&self) -> &Path {
        &self.run
    }
}
