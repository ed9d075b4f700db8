//! Which layers were made ahead of any image that has them, and until when they are kept for one: a small file
//! for each layer.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use berth_oci::Digest;
use jiff::Timestamp;

use super::blobs::private_folder;

/// The notes. They are not synced: a layer whose note is lost is one that no image has, and a pull makes it again.
#[derive(Clone, Debug)]
pub(in super::super) struct Ahead {
    folder: PathBuf,
}

impl Ahead {
    pub(super) fn new(root: &Path) -> Self {
        Self { folder: root.join("ahead") }
    }

    /// Notes that a layer is kept so long, before it is there.
    pub(in super::super) fn keep(&self, layer: &Digest, until: Timestamp) -> io::Result<()> {
        private_folder(&self.folder)?;
        fs::write(self.path(layer), until.to_string())
    }

    pub(in super::super) fn has(&self, layer: &Digest) -> bool {
        self.path(layer).exists()
    }

    /// Forgets a layer: an image has it, or it has gone.
    pub(in super::super) fn forget(&self, layer: &Digest) -> io::Result<()> {
        unless_missing(fs::remove_file(self.path(layer))).map(drop)
    }

    /// All layers that there are notes of, those first that are kept least long. A note that cannot be read is one
    /// whose time is over.
    pub(in super::super) fn all(&self) -> io::Result<Vec<(Timestamp, Digest)>> {
        let Some(entries) = unless_missing(fs::read_dir(&self.folder))? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().replacen('-', ":", 1);
            let text = unless_missing(fs::read_to_string(entry.path()))?.unwrap_or_default();
            if let Ok(layer) = name.parse() {
                found.push((text.parse().unwrap_or(Timestamp::UNIX_EPOCH), layer));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The layers whose time is not over.
    pub(super) fn kept(&self, now: Timestamp) -> io::Result<BTreeSet<Digest>> {
        let kept = self.all()?.into_iter().filter(|(until, _)| *until > now);
        Ok(kept.map(|(_, layer)| layer).collect())
    }

    /// Forgets the layers whose time is over.
    pub(super) fn forget_before(&self, now: Timestamp) -> io::Result<()> {
        let over = self.all()?.into_iter().take_while(|(until, _)| *until <= now);
        over.map(|(_, layer)| layer).try_for_each(|layer| self.forget(&layer))
    }

    fn path(&self, layer: &Digest) -> PathBuf {
        self.folder.join(format!("{}-{}", layer.algorithm(), layer.hex()))
    }
}

fn unless_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
