//! The volumes that there are.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

use super::error::{Doing as _, VolumeError};
use crate::Roots;
use crate::spec::SpecError;
use crate::spec::parse::check_volume_name;

/// Has a volume that nobody has named. Docker marks it so, too.
const ANONYMOUS: &str = "com.docker.volume.anonymous";
const NEW: &str = ".new-";
const GONE: &str = ".gone-";

/// All volumes of an engine.
#[derive(Debug)]
pub struct VolumeStore {
    folder: PathBuf,
}

/// One of them, in the Engine API's shape.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volume {
    /// When it was made.
    pub created_at: Timestamp,
    /// `local`.
    pub driver: String,
    /// What people want to know it by.
    pub labels: Option<BTreeMap<String, String>>,
    /// Where it is on the host.
    #[serde(default)]
    pub mountpoint: PathBuf,
    /// What it is called.
    pub name: String,
    /// Options of the driver.
    pub options: Option<BTreeMap<String, String>>,
    /// `local`: it is on this machine alone.
    pub scope: String,
}

impl Volume {
    /// Whether nobody has named it.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.labels.as_ref().is_some_and(|labels| labels.contains_key(ANONYMOUS))
    }
}

/// A volume to be made.
#[derive(Clone, Debug, Default)]
pub struct NewVolume {
    /// Nothing for one that nobody names.
    pub name: Option<String>,
    /// `local` or nothing.
    pub driver: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

/// What still uses volumes.
pub trait VolumeUsers {
    /// The ids of containers that have the volume, running or not.
    ///
    /// # Errors
    ///
    /// When that cannot be found out.
    fn users(&self, volume: &str) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>>;
}

/// As long as it is there no volume is removed: whoever makes a container keeps it from before its
/// volumes are made until the container is recorded.
#[derive(Debug)]
pub struct InUse {
    _lock: File,
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Their names.
    pub names: Vec<String>,
    /// What they took on the disk.
    pub bytes: u64,
}

impl VolumeStore {
    /// The volumes of an engine. Nothing is made before there is one.
    #[must_use]
    pub fn open(roots: &Roots) -> Self {
        Self { folder: roots.data().join("volumes") }
    }

    /// Keeps all volumes from being removed.
    ///
    /// # Errors
    ///
    /// When the folder of the engine cannot be used.
    pub fn keep(&self) -> Result<InUse, VolumeError> {
        Ok(InUse { _lock: self.lock(FlockOperation::LockShared)? })
    }

    /// A name for a volume that nobody names.
    ///
    /// # Errors
    ///
    /// When there is no chance to be had of the system.
    pub fn random_name() -> Result<String, SpecError> {
        let mut bytes = [0_u8; 32];
        getrandom(&mut bytes, GetRandomFlags::empty())
            .map_err(|source| SpecError::Host { doing: "make up a name", source: source.into() })?;
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Makes a volume, or finds the one that has its name already.
    ///
    /// # Errors
    ///
    /// A name or driver that is none.
    pub fn create(&self, new: NewVolume) -> Result<Volume, VolumeError> {
        if !matches!(new.driver.as_str(), "" | "local") {
            return Err(VolumeError::Invalid(format!(
                "error looking up volume plugin {0}: plugin \"{0}\" not found",
                new.driver
            )));
        }
        let mut labels = new.labels;
        let name = match new.name {
            Some(name) => {
                check_volume_name(&name)?;
                name
            }
            None => {
                labels.insert(ANONYMOUS.to_owned(), String::new());
                Self::random_name()?
            }
        };
        let _kept = self.keep()?;
        match self.find(&name) {
            Err(VolumeError::NotFound(_)) => {}
            found => return found,
        }
        self.place(&Volume {
            created_at: Timestamp::now(),
            driver: "local".to_owned(),
            labels: (!labels.is_empty()).then_some(labels),
            mountpoint: PathBuf::new(),
            name: name.clone(),
            options: (!new.options.is_empty()).then_some(new.options),
            scope: "local".to_owned(),
        })?;
        // Somebody else may have been first: then it is theirs.
        self.find(&name)
    }

    /// The labels that mark a volume as one that nobody has named.
    pub(super) fn anonymous_labels() -> BTreeMap<String, String> {
        [(ANONYMOUS.to_owned(), String::new())].into()
    }

    /// Writes it beside the others, and gives it its name.
    fn place(&self, volume: &Volume) -> Result<(), VolumeError> {
        let doing = || format!("make the volume {}", volume.name);
        let folder = self.folder.join(format!("{NEW}{}", Self::random_name()?));
        let private = |folder: &Path| DirBuilder::new().mode(0o700).create(folder);
        private(&folder).doing(doing)?;
        DirBuilder::new().mode(0o755).create(folder.join("_data")).doing(doing)?;
        let text = serde_json::to_vec(volume).map_err(io::Error::from).doing(doing)?;
        let mut file = create_private(&folder.join("volume.json")).doing(doing)?;
        file.write_all(&text).and_then(|()| file.sync_all()).doing(doing)?;
        match fs::rename(&folder, self.folder.join(&volume.name)) {
            Ok(()) => File::open(&self.folder).and_then(|it| it.sync_all()).doing(doing),
            Err(error) => {
                let _ = fs::remove_dir_all(&folder);
                match error.kind() {
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => Ok(()),
                    _ => Err(error).doing(doing),
                }
            }
        }
    }

    /// The volume by this name.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn find(&self, name: &str) -> Result<Volume, VolumeError> {
        if check_volume_name(name).is_err() {
            return Err(VolumeError::NotFound(name.to_owned()));
        }
        let path = self.folder.join(name).join("volume.json");
        let text = match fs::read(&path) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(VolumeError::NotFound(name.to_owned()));
            }
            other => other.doing(|| format!("read {}", path.display()))?,
        };
        let volume: Volume = serde_json::from_slice(&text)
            .map_err(io::Error::from)
            .doing(|| format!("read {}", path.display()))?;
        Ok(Volume { mountpoint: self.data(name), ..volume })
    }

    /// All of them, by name.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Volume>, VolumeError> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.doing(|| format!("read {}", self.folder.display()))?,
        };
        let mut volumes = Vec::new();
        for entry in entries {
            let entry = entry.doing(|| format!("read {}", self.folder.display()))?;
            match self.find(&entry.file_name().to_string_lossy()) {
                // The lock, what is being made or removed, and what has gone meanwhile.
                Err(VolumeError::NotFound(_)) => {}
                found => volumes.push(found?),
            }
        }
        volumes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(volumes)
    }

    /// Removes a volume that no container has.
    ///
    /// # Errors
    ///
    /// There is none, or a container has it.
    pub fn remove(&self, name: &str, users: &dyn VolumeUsers) -> Result<(), VolumeError> {
        let lock = self.lock(FlockOperation::LockExclusive)?;
        self.find(name)?;
        let containers = self.users(name, users)?;
        if !containers.is_empty() {
            return Err(VolumeError::InUse { name: name.to_owned(), containers });
        }
        let gone = self.hide(name)?;
        drop(lock);
        remove_tree(&gone)?;
        self.sweep();
        Ok(())
    }

    /// Removes volumes that `wanted` names and no container has.
    ///
    /// # Errors
    ///
    /// When one cannot be removed.
    pub fn prune(
        &self,
        wanted: &dyn Fn(&Volume) -> bool,
        users: &dyn VolumeUsers,
    ) -> Result<Pruned, VolumeError> {
        let mut pruned = Pruned::default();
        let mut gone = Vec::new();
        {
            let _lock = self.lock(FlockOperation::LockExclusive)?;
            for volume in self.list()?.into_iter().filter(wanted) {
                if self.users(&volume.name, users)?.is_empty() {
                    gone.push(self.hide(&volume.name)?);
                    pruned.names.push(volume.name);
                }
            }
        }
        for folder in gone {
            pruned.bytes += size_of_tree(&folder.join("_data"));
            remove_tree(&folder)?;
        }
        self.sweep();
        Ok(pruned)
    }

    /// What the files of a volume take on the disk.
    #[must_use]
    pub fn size(&self, volume: &Volume) -> u64 {
        size_of_tree(&self.data(&volume.name))
    }

    /// The folder that containers see.
    pub(super) fn data(&self, name: &str) -> PathBuf {
        self.folder.join(name).join("_data")
    }

    /// The folder of all that belongs to it.
    pub(super) fn own_folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn users(&self, name: &str, users: &dyn VolumeUsers) -> Result<Vec<String>, VolumeError> {
        users.users(name).map_err(|source| VolumeError::Users { name: name.to_owned(), source })
    }

    /// Takes the name away from a volume: from then on there is none.
    fn hide(&self, name: &str) -> Result<PathBuf, VolumeError> {
        let gone = self.folder.join(format!("{GONE}{}", Self::random_name()?));
        fs::rename(self.folder.join(name), &gone).doing(|| format!("remove the volume {name}"))?;
        Ok(gone)
    }

    /// Removes what a crash has left. Nobody makes or removes a volume while this has the lock.
    pub(crate) fn sweep(&self) {
        // What cannot be removed now, the next command tries again.
        let Ok(_lock) = self.lock(FlockOperation::LockExclusive) else { return };
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(NEW) || name.starts_with(GONE) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    fn lock(&self, how: FlockOperation) -> Result<File, VolumeError> {
        let doing = || format!("lock {}", self.folder.display());
        let path = self.folder.join("lock");
        let file = match create_private(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
                made.and_then(|()| create_private(&path))
            }
            other => other,
        };
        let file = file.doing(doing)?;
        loop {
            match flock(&file, how) {
                Err(rustix::io::Errno::INTR) => {}
                other => return other.map(|()| file).doing(doing),
            }
        }
    }
}

pub(super) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn remove_tree(folder: &Path) -> Result<(), VolumeError> {
    match fs::remove_dir_all(folder) {
        // Somebody who sweeps was first.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.doing(|| format!("remove {}", folder.display())),
    }
}

/// In blocks, as they are given back; what cannot be read counts nothing.
fn size_of_tree(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;

    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                folders.push(entry.path());
            } else if found.is_file() {
                bytes += found.size();
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    struct Nobody;

    impl VolumeUsers for Nobody {
        fn users(&self, _: &str) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
            Ok(Vec::new())
        }
    }

    /// Containers that have the volume by this name.
    struct Somebody(&'static str);

    impl VolumeUsers for Somebody {
        fn users(
            &self,
            volume: &str,
        ) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
            Ok(if volume == self.0 { vec!["one".to_owned(), "two".to_owned()] } else { Vec::new() })
        }
    }

    fn store() -> (TempDir, VolumeStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = VolumeStore::open(&Roots::new(folder.path(), folder.path()));
        (folder, store)
    }

    fn named(name: &str) -> NewVolume {
        NewVolume { name: Some(name.to_owned()), ..NewVolume::default() }
    }

    fn names(store: &VolumeStore) -> Vec<String> {
        store.list().unwrap().into_iter().map(|volume| volume.name).collect()
    }

    #[test]
    fn a_volume_is_made_once_and_keeps_what_it_was_made_with() {
        let (_folder, store) = store();
        assert_eq!(names(&store), [""; 0]);
        let labels = [("a".to_owned(), "1".to_owned())].into();
        let made = store.create(NewVolume { labels, ..named("box") }).unwrap();
        assert!(made.mountpoint.is_dir() && !made.is_anonymous());
        assert_eq!(store.create(named("box")).unwrap(), made);
        assert!(store.create(NewVolume::default()).unwrap().is_anonymous());
        assert_eq!(names(&store).len(), 2);
    }

    #[test]
    fn names_are_names_and_no_paths() {
        let (_folder, store) = store();
        for name in ["", "x", "../up", "a/b", ".hidden", "lock/"] {
            assert!(store.create(named(name)).is_err(), "{name}");
            assert!(matches!(store.find(name), Err(VolumeError::NotFound(_))), "{name}");
        }
    }

    #[test]
    fn a_volume_that_a_container_has_stays() {
        let (_folder, store) = store();
        store.create(named("box")).unwrap();
        let error = store.remove("box", &Somebody("box")).unwrap_err();
        assert_eq!(error.to_string(), "remove box: volume is in use - [one, two]");
        store.remove("box", &Nobody).unwrap();
        assert_eq!(
            store.remove("box", &Nobody).unwrap_err().to_string(),
            "get box: no such volume"
        );
    }

    #[test]
    fn pruning_takes_what_is_wanted_and_not_in_use() {
        let (_folder, store) = store();
        for name in ["kept", "gone", "other"] {
            let volume = store.create(named(name)).unwrap();
            fs::write(volume.mountpoint.join("file"), [0; 1000]).unwrap();
        }
        let pruned = store.prune(&|volume| volume.name != "other", &Somebody("kept")).unwrap();
        assert_eq!(pruned, Pruned { names: vec!["gone".to_owned()], bytes: 1000 });
        assert_eq!(names(&store), ["kept", "other"]);
    }

    #[test]
    fn what_a_crash_has_left_goes_with_the_next_removal() {
        let (folder, store) = store();
        store.create(named("box")).unwrap();
        for name in [".new-1", ".gone-1"] {
            fs::create_dir_all(folder.path().join("volumes").join(name).join("_data/x")).unwrap();
        }
        assert_eq!(names(&store), ["box"]);
        store.remove("box", &Nobody).unwrap();
        assert_eq!(fs::read_dir(folder.path().join("volumes")).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_removed_while_somebody_makes_a_container() {
        let (folder, store) = store();
        store.create(named("box")).unwrap();
        let kept = store.keep().unwrap();
        let other = VolumeStore::open(&Roots::new(folder.path(), folder.path()));
        let (said, heard) = std::sync::mpsc::channel();
        let remover = std::thread::spawn(move || {
            said.send(()).unwrap();
            other.remove("box", &Nobody)
        });
        heard.recv().unwrap();
        assert!(store.find("box").is_ok());
        drop(kept);
        remover.join().unwrap().unwrap();
        assert!(store.find("box").is_err());
    }
}
