//! The layers that are here.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use berth_oci::Digest;
use rustix::fs::{FlockOperation, flock};

use super::error::{Doing as _, LayerError};
use super::limits::Limits;
use super::prepare::{FILES, INDEX, SPREAD, needed, prepare};
use super::rung::{Choice, Rung};
use super::tree::Tree;
use super::{ingest, mount};
use crate::Roots;

/// The layers of one engine, each by its diff id.
#[derive(Debug, Clone)]
pub struct LayerStore {
    /// `<data>/layers`
    pub(super) data: PathBuf,
    /// `<run>/layers`
    pub(super) run: PathBuf,
    /// Found out when it is asked for first.
    rung: Arc<OnceLock<Choice>>,
}

/// In the folder of a layer on its way: somebody waits for it.
const WANTED: &str = "wanted";

/// The archive in a layer's folder.
pub(super) const ARCHIVE: &str = "tar";

impl LayerStore {
    /// The store in `roots`, made where there is none. What a process that died has left of a layer on
    /// its way is removed.
    ///
    /// # Errors
    ///
    /// When its folders cannot be made.
    pub fn open(roots: &Roots) -> Result<Self, LayerError> {
        let store = Self {
            data: roots.data().join("layers"),
            run: roots.run().join("layers"),
            rung: Arc::default(),
        };
        for folder in [&store.ingest_folder(), &store.run] {
            let mut builder = fs::DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(folder);
            made.doing(|| format!("make {}", folder.display()))?;
        }
        store.clean()?;
        Ok(store)
    }

    /// The same store that keeps layers in this way, whatever the kernel can.
    #[must_use]
    pub fn with_rung(self, rung: Rung) -> Self {
        let choice = Choice { rung, reason: None };
        Self { rung: Arc::new(OnceLock::from(choice)), ..self }
    }

    /// How layers are kept: as `BERTH_LAYERS` says, or in the best way that the kernel has.
    ///
    /// # Errors
    ///
    /// When the variable has another word than `erofs`, `directories` or `copy`, or the kernel cannot
    /// be tried.
    pub fn rung(&self) -> Result<Rung, LayerError> {
        Ok(self.choice()?.rung)
    }

    pub(super) fn choice(&self) -> Result<&Choice, LayerError> {
        if let Some(choice) = self.rung.get() {
            return Ok(choice);
        }
        let choice = mount::choose(self)?;
        Ok(self.rung.get_or_init(|| choice))
    }

    /// How layers are kept here, without a trial: the best way where nothing is set and nobody has tried yet.
    pub(crate) fn rung_untried(&self) -> Result<Rung, LayerError> {
        Ok(mount::known(self)?.map_or(Rung::Erofs, |choice| choice.rung))
    }

    /// Whether somebody waits for a layer that somebody else takes in.
    pub(crate) fn is_wanted(&self, diff_id: &Digest) -> bool {
        self.ingest_folder().join(name_of(diff_id)).join(WANTED).exists()
    }

    /// Whether a layer is here.
    #[must_use]
    pub fn has(&self, diff_id: &Digest) -> bool {
        self.folder(diff_id).join(ARCHIVE).is_file()
    }

    /// Takes a layer in as it is pushed: compressed by gzip or zstd, or not. It is there, and on disk,
    /// when this returns, and it is what its diff id says; after an error nothing of it is there.
    ///
    /// Blocks. Of two that take in the same layer, in whatever processes, one waits for the other and
    /// reads nothing.
    ///
    /// # Errors
    ///
    /// What is wrong with the layer, in words for who wants the image; or that the disk is full.
    pub fn ingest(
        &self,
        expected: &Digest,
        limits: &Limits,
        input: &mut dyn Read,
    ) -> Result<(), LayerError> {
        if self.has(expected) {
            return Ok(());
        }
        let passage = self.passage(expected)?;
        if self.has(expected) {
            return passage.leave();
        }
        let result = self.receive(expected, limits, input, &passage.path);
        match result {
            Ok(()) => passage.arrive(&self.folder(expected)),
            Err(error) => {
                passage.leave()?;
                Err(error)
            }
        }
    }

    fn receive(
        &self,
        expected: &Digest,
        limits: &Limits,
        input: &mut dyn Read,
        folder: &Path,
    ) -> Result<(), LayerError> {
        empty(folder).doing(|| format!("empty {}", folder.display()))?;
        let path = folder.join(ARCHIVE);
        let mut options = File::options();
        let archive = options.read(true).write(true).create_new(true).open(&path);
        let archive = archive.doing(|| format!("make {}", path.display()))?;
        let tree = ingest::receive(expected, limits, input, &archive)?;
        prepare(self.rung()?, &tree, &archive, folder)
    }

    /// Makes what the way that layers are kept in needs of a layer, where it is missing because it was
    /// another way before.
    pub(super) fn complete(&self, diff_id: &Digest, rung: Rung) -> Result<(), LayerError> {
        let folder = self.folder(diff_id);
        let Some(needed) = needed(rung) else { return Ok(()) };
        if folder.join(needed).exists() {
            return Ok(());
        }
        let passage = self.passage(diff_id)?;
        let result = self.complete_in(diff_id, rung, &passage.path);
        passage.leave()?;
        result
    }

    fn complete_in(&self, diff_id: &Digest, rung: Rung, way: &Path) -> Result<(), LayerError> {
        empty(way).doing(|| format!("empty {}", way.display()))?;
        let archive = self.archive(diff_id)?;
        prepare(rung, &self.tree(diff_id)?, &archive, way)?;
        let folder = self.folder(diff_id);
        for name in [SPREAD, INDEX, FILES] {
            match fs::rename(way.join(name), folder.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.doing(|| format!("make {}", folder.join(name).display()))?,
            }
        }
        sync(&folder)
    }

    /// The tree of a layer that is here, which was within its limits when it came.
    pub(super) fn tree(&self, diff_id: &Digest) -> Result<Tree, LayerError> {
        let archive = io::BufReader::with_capacity(64 << 10, self.archive(diff_id)?);
        ingest::tree(archive, &Limits::NONE)
    }

    /// Removes a layer, and says how many bytes of disk that gives back.
    ///
    /// # Errors
    ///
    /// [`LayerError::Busy`] when it is a part of a mounted root, and [`LayerError::NotFound`] when it is
    /// not here.
    pub fn remove(&self, diff_id: &Digest) -> Result<u64, LayerError> {
        let passage = self.passage(diff_id)?;
        let result = self.take_out(diff_id, &passage.path);
        passage.leave()?;
        result
    }

    fn take_out(&self, diff_id: &Digest, way: &Path) -> Result<u64, LayerError> {
        if !self.has(diff_id) {
            return Err(LayerError::NotFound(*diff_id));
        }
        self.release(diff_id)?;
        empty(way).doing(|| format!("empty {}", way.display()))?;
        let folder = self.folder(diff_id);
        let gone = way.join("removed");
        fs::rename(&folder, &gone).doing(|| format!("remove {}", folder.display()))?;
        sync(&self.data)?;
        used_by(&gone).doing(|| format!("look at {}", gone.display()))
    }

    /// All layers that are here.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Digest>, LayerError> {
        let entries = fs::read_dir(&self.data).doing(|| format!("read {}", self.data.display()))?;
        let mut layers = Vec::new();
        for entry in entries {
            let entry = entry.doing(|| format!("read {}", self.data.display()))?;
            // The folder of ingestion has another name.
            layers.extend(entry.file_name().to_str().and_then(digest_of));
        }
        layers.sort_unstable();
        Ok(layers)
    }

    /// How many bytes a layer has, uncompressed.
    ///
    /// # Errors
    ///
    /// [`LayerError::NotFound`] when it is not here.
    pub fn size(&self, diff_id: &Digest) -> Result<u64, LayerError> {
        let metadata = self.archive(diff_id)?.metadata();
        Ok(metadata.doing(|| format!("look at layer {diff_id}"))?.len())
    }

    /// The archive, byte for byte.
    ///
    /// # Errors
    ///
    /// [`LayerError::NotFound`] when it is not here.
    pub fn tar(&self, diff_id: &Digest) -> Result<impl Read + use<>, LayerError> {
        self.archive(diff_id)
    }

    pub(super) fn archive(&self, diff_id: &Digest) -> Result<File, LayerError> {
        match File::open(self.folder(diff_id).join(ARCHIVE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(LayerError::NotFound(*diff_id))
            }
            other => other.doing(|| format!("open layer {diff_id}")),
        }
    }

    pub(super) fn folder(&self, diff_id: &Digest) -> PathBuf {
        self.data.join(name_of(diff_id))
    }

    fn passage(&self, diff_id: &Digest) -> Result<Passage, LayerError> {
        Passage::enter(&self.ingest_folder().join(name_of(diff_id)))
    }

    pub(super) fn ingest_folder(&self) -> PathBuf {
        self.data.join("ingest")
    }

    /// Removes what nobody brings in or out any more.
    fn clean(&self) -> Result<(), LayerError> {
        let folder = self.ingest_folder();
        for entry in fs::read_dir(&folder).doing(|| format!("read {}", folder.display()))? {
            let path = entry.doing(|| format!("read {}", folder.display()))?.path();
            if let Some(passage) = Passage::try_enter(&path)? {
                passage.leave()?;
            }
        }
        Ok(())
    }
}

/// The name of a layer's folders.
pub(super) fn name_of(diff_id: &Digest) -> String {
    format!("{}-{}", diff_id.algorithm(), diff_id.hex())
}

fn digest_of(name: &str) -> Option<Digest> {
    name.replacen('-', ":", 1).parse().ok()
}

/// A folder through which one layer comes or goes, held by a lock that ends with the process.
pub(super) struct Passage {
    pub(super) path: PathBuf,
    _lock: File,
}

impl Passage {
    /// Waits until nobody else is in it, who is told so.
    pub(super) fn enter(path: &Path) -> Result<Self, LayerError> {
        loop {
            match fs::DirBuilder::new().mode(0o700).create(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => other.doing(|| format!("make {}", path.display()))?,
            }
            if let Some(passage) = Self::try_enter(path)? {
                return Ok(passage);
            }
            // Who has gone meanwhile need not be told.
            let _ = File::create(path.join(WANTED));
            if let Some(passage) = Self::lock(path, FlockOperation::LockExclusive)? {
                return Ok(passage);
            }
        }
    }

    fn try_enter(path: &Path) -> Result<Option<Self>, LayerError> {
        Self::lock(path, FlockOperation::NonBlockingLockExclusive)
    }

    /// Holds the folder at `path`, unless it is another one by then, or none, or held.
    fn lock(path: &Path, operation: FlockOperation) -> Result<Option<Self>, LayerError> {
        let doing = || format!("lock {}", path.display());
        let lock = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.doing(doing)?,
        };
        match flock(&lock, operation) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            other => other.doing(doing)?,
        }
        let held = lock.metadata().doing(doing)?;
        match fs::metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (held.dev(), held.ino()) => {
                Ok(Some(Self { path: path.to_owned(), _lock: lock }))
            }
            _ => Ok(None),
        }
    }

    /// The layer is here from now on.
    fn arrive(self, place: &Path) -> Result<(), LayerError> {
        // That of one who comes between the two is in nobody's way.
        let _ = fs::remove_file(self.path.join(WANTED));
        sync(&self.path)?;
        fs::rename(&self.path, place).doing(|| format!("make {}", place.display()))?;
        sync(place.parent().unwrap_or(place))
    }

    pub(super) fn leave(self) -> Result<(), LayerError> {
        // A trial that was killed has left its mounts.
        mount::unmount_trial_in(&self.path)?;
        loop {
            match fs::remove_dir_all(&self.path) {
                // Somebody has just said that he waits.
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                other => return other.doing(|| format!("remove {}", self.path.display())),
            }
        }
    }
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match fs::symlink_metadata(&path)?.is_dir() {
            true => fs::remove_dir_all(path)?,
            false => fs::remove_file(path)?,
        }
    }
    Ok(())
}

fn sync(folder: &Path) -> Result<(), LayerError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.doing(|| format!("write {}", folder.display()))
}

/// What everything below `path` takes on the disk.
fn used_by(path: &Path) -> io::Result<u64> {
    let metadata = fs::symlink_metadata(path)?;
    let mut bytes = metadata.blocks() * 512;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            bytes += used_by(&entry?.path())?;
        }
    }
    Ok(bytes)
}
