//! A store of its own for each test, and roots that are unmounted whatever happens.

use std::fs;
use std::path::{Path, PathBuf};

use berth_oci::Digest;
use berth_runner::Roots;
use berth_runner::layers::{LayerError, LayerStore, Limits, MountedRoot, Rung};
use tempfile::TempDir;

use crate::archives::digest;

pub(crate) struct Store {
    pub(crate) layers: LayerStore,
    pub(crate) roots: Roots,
    folder: TempDir,
}

impl Store {
    pub(crate) fn new(rung: Rung) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::new(folder.path().join("data"), folder.path().join("run"));
        let layers = LayerStore::open(&roots).unwrap().with_rung(rung);
        Self { layers, roots, folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes a layer in.
    pub(crate) fn layer(&self, archive: &[u8]) -> Digest {
        let diff_id = digest(archive);
        self.ingest(diff_id, archive).unwrap();
        diff_id
    }

    pub(crate) fn ingest(&self, diff_id: Digest, mut bytes: &[u8]) -> Result<(), LayerError> {
        self.layers.ingest(&diff_id, &Limits::default(), &mut bytes)
    }

    /// What an archive that is no layer is told.
    pub(crate) fn refused(&self, archive: &[u8]) -> LayerError {
        let diff_id = digest(archive);
        let error = self.ingest(diff_id, archive).unwrap_err();
        assert!(!self.layers.has(&diff_id));
        self.assert_nothing_is_on_its_way();
        error
    }

    pub(crate) fn assert_nothing_is_on_its_way(&self) {
        let left: Vec<_> = fs::read_dir(self.path().join("data/layers/ingest")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// A root, by a name of its own.
    pub(crate) fn root(&self, name: &str, layers: &[Digest]) -> Root<'_> {
        let writable = self.path().join(name).join("writable");
        let target = self.path().join(name).join("root");
        fs::create_dir_all(&writable).unwrap();
        fs::create_dir_all(&target).unwrap();
        let mounted = self.layers.mount_root(layers, &writable, &target).unwrap();
        Root { store: self, mounted, path: target }
    }
}

/// A mounted root.
pub(crate) struct Root<'store> {
    store: &'store Store,
    pub(crate) mounted: MountedRoot,
    pub(crate) path: PathBuf,
}

impl Root<'_> {
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }
}

impl Drop for Root<'_> {
    fn drop(&mut self) {
        self.store.layers.unmount_root(&self.path).unwrap();
    }
}

/// Runs a test in every way in which layers are kept.
pub(crate) fn on_each_rung(test: impl Fn(&Store, Rung)) {
    for rung in Rung::ALL {
        println!("-- {rung}");
        test(&Store::new(rung), rung);
    }
}

/// What is mounted below a folder.
pub(crate) fn mounts_below(folder: &Path) -> Vec<String> {
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let folder = folder.to_str().unwrap();
    all.lines().filter(|line| line.contains(folder)).map(str::to_owned).collect()
}
