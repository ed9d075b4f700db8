//! Layers of images: kept ready to be mounted, and mounted as the root of a container.

#![allow(missing_docs, dead_code)]

mod error;
mod limits;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use berth_oci::{Digest, Hasher};

pub use self::error::LayerError;
pub use self::limits::Limits;
use crate::Roots;

/// Stands in for the store that is on its way: archives as they are, and nothing can be mounted.
#[derive(Clone, Debug)]
pub struct LayerStore {
    root: PathBuf,
}

#[derive(Debug)]
pub struct MountedRoot;

impl LayerStore {
    pub fn open(roots: &Roots) -> Result<Self, LayerError> {
        let root = roots.data().join("layers");
        fs::create_dir_all(&root)?;
        Ok(Self { root })
    }

    pub fn has(&self, diff_id: &Digest) -> bool {
        self.path(diff_id).exists()
    }

    pub fn ingest(
        &self,
        expected: &Digest,
        _: &Limits,
        input: &mut dyn Read,
    ) -> Result<(), LayerError> {
        let mut first = [0; 2];
        input.read_exact(&mut first)?;
        let mut input = std::io::Read::chain(&first[..], input);
        let mut all = Vec::new();
        match first {
            [0x1f, 0x8b] => flate2::read::MultiGzDecoder::new(input).read_to_end(&mut all)?,
            _ => input.read_to_end(&mut all)?,
        };
        let found = Hasher::digest(expected.algorithm(), &all);
        if found != *expected {
            return Err(LayerError::Digest { expected: *expected, found });
        }
        Ok(fs::write(self.path(expected), all)?)
    }

    pub fn remove(&self, diff_id: &Digest) -> Result<u64, LayerError> {
        let size = self.size(diff_id)?;
        fs::remove_file(self.path(diff_id))?;
        Ok(size)
    }

    pub fn list(&self) -> Result<Vec<Digest>, LayerError> {
        let names = fs::read_dir(&self.root)?.flatten();
        let digest = |entry: fs::DirEntry| {
            format!("sha256:{}", entry.file_name().to_string_lossy()).parse().ok()
        };
        Ok(names.filter_map(digest).collect())
    }

    pub fn size(&self, diff_id: &Digest) -> Result<u64, LayerError> {
        Ok(fs::metadata(self.path(diff_id))?.len())
    }

    pub fn tar(&self, diff_id: &Digest) -> Result<File, LayerError> {
        Ok(File::open(self.path(diff_id))?)
    }

    pub fn mount_root(&self, _: &[Digest], _: &Path, _: &Path) -> Result<MountedRoot, LayerError> {
        Err(std::io::Error::other("layers cannot be mounted yet").into())
    }

    pub fn unmount_root(_: &Path) -> Result<(), LayerError> {
        Ok(())
    }

    fn path(&self, diff_id: &Digest) -> PathBuf {
        self.root.join(diff_id.hex())
    }
}
