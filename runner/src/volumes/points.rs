//! Volumes and folders of the host, made ready for a container.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, ResolveFlags, flock, openat2};
use rustix::io::Errno;

use super::copy::copy_tree;
use super::error::{Doing as _, VolumeError};
use super::store::{NewVolume, VolumeStore, create_private};
use crate::oci::RootDirectory;
use crate::spec::{MountKind, MountPoint};

impl VolumeStore {
    /// Makes the volumes of a container that are not there yet, and says of each where it is. Folders
    /// of the host are looked for, or made where `-v` asks for them.
    ///
    /// # Errors
    ///
    /// What is not there and is not made.
    pub fn prepare(&self, points: &mut [MountPoint]) -> Result<(), VolumeError> {
        for point in points {
            match point.kind {
                MountKind::Volume => {
                    let mut labels = point.details.labels.clone();
                    if point.details.anonymous {
                        labels.extend(Self::anonymous_labels());
                    }
                    let volume = self.create(NewVolume {
                        name: Some(point.name.clone()),
                        driver: point.driver.clone(),
                        labels,
                        options: point.details.driver_options.clone(),
                    })?;
                    point.source = volume.mountpoint.to_string_lossy().into_owned();
                    // Those that the volume was made with, whoever did it.
                    point.details.driver_options = volume.options.unwrap_or_default();
                }
                MountKind::Bind => prepare_bind(point)?,
                MountKind::Tmpfs => {}
            }
        }
        Ok(())
    }

    /// Gives volumes that no container has had yet what the image has at their places: its files with
    /// their owners, modes, times and attributes. `root` is the container's, mounted, and nothing runs
    /// in it.
    ///
    /// # Errors
    ///
    /// When something cannot be copied; then the volume is as empty as it was.
    pub fn fill(&self, points: &[MountPoint], root: &Path) -> Result<(), VolumeError> {
        for point in points.iter().filter(|point| point.kind == MountKind::Volume) {
            // What is elsewhere is somebody else's to fill.
            if point.details.device().is_none() {
                self.fill_one(point, root)?;
            }
        }
        Ok(())
    }

    /// The mounts, with each folder inside of a volume (`volume-subpath`) looked up: once, and never out
    /// of the volume, whatever links containers have made in it. What is given back beside them has to
    /// stay open until the runtime has mounted them.
    ///
    /// # Errors
    ///
    /// A folder that is not there.
    pub fn pin(
        &self,
        points: &[MountPoint],
    ) -> Result<(Vec<MountPoint>, Vec<OwnedFd>), VolumeError> {
        let mut points = points.to_vec();
        let mut pinned = Vec::new();
        for point in points.iter_mut().filter(|point| !point.details.subpath.is_empty()) {
            let found = open_beneath(Path::new(&point.source), Path::new(&point.details.subpath))
                .map_err(|source| VolumeError::System {
                doing: format!("access path {}/{}", point.source, point.details.subpath),
                source,
            })?;
            point.source = format!("/proc/{}/fd/{}", std::process::id(), found.as_raw_fd());
            pinned.push(found);
        }
        Ok((points, pinned))
    }

    fn fill_one(&self, point: &MountPoint, root: &Path) -> Result<(), VolumeError> {
        let doing = || format!("fill the volume {}", point.name);
        let folder = self.own_folder(&point.name);
        let used = folder.join("used");
        if used.exists() {
            return Ok(());
        }
        // Of two containers that want it at the same time, one fills it.
        let lock = create_private(&folder.join("volume.json")).doing(doing)?;
        flock(&lock, FlockOperation::LockExclusive).doing(doing)?;
        if used.exists() {
            return Ok(());
        }
        if !point.details.no_copy && is_empty(&self.data(&point.name)).doing(doing)? {
            self.copy_up(point, root, &folder)?;
        }
        create_private(&used).map(drop).doing(doing)
    }

    /// Copies beside the volume, and puts the copy in its place when it is whole.
    fn copy_up(&self, point: &MountPoint, root: &Path, folder: &Path) -> Result<(), VolumeError> {
        let doing = || format!("fill the volume {}", point.name);
        let Some(source) = open_source(root, &point.destination).doing(doing)? else {
            return Ok(());
        };
        let copy = folder.join("_new");
        match fs::remove_dir_all(&copy) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).doing(doing);
            }
            _ => {}
        }
        DirBuilder::new().mode(0o700).create(&copy).doing(doing)?;
        copy_tree(&source, &File::open(&copy).doing(doing)?).doing(doing)?;
        fs::rename(&copy, self.data(&point.name)).doing(doing)
    }
}

fn open_beneath(folder: &Path, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags | OFlags::DIRECTORY, Mode::empty())?;
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    loop {
        match openat2(&folder, path, flags, Mode::empty(), inside) {
            // A rename raced with a `..` in it.
            Err(Errno::AGAIN) => {}
            Err(Errno::XDEV) => return Err(io::Error::other("it leads out of the volume")),
            other => return Ok(other?),
        }
    }
}

/// The folder of the image that a volume hides, if it is one. Links are followed inside of the root
/// alone.
fn open_source(root: &Path, destination: &str) -> io::Result<Option<File>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = RootDirectory::new(rustix::fs::open(root, flags, Mode::empty())?);
    match root.open(Path::new(destination), OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(folder) => Ok(Some(folder.into())),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(folder)?.next().is_none())
}

fn prepare_bind(point: &MountPoint) -> Result<(), VolumeError> {
    let source = PathBuf::from(&point.source);
    match fs::metadata(&source) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if !point.details.make_source {
                return Err(VolumeError::Invalid(format!(
                    "invalid mount config for type \"bind\": bind source path does not exist: {}",
                    point.source
                )));
            }
            DirBuilder::new().recursive(true).mode(0o755).create(&source).map_err(|error| {
                VolumeError::Invalid(format!(
                    "error while creating mount source path '{0}': mkdir {0}: {error}",
                    point.source
                ))
            })
        }
        Err(error) => Err(error).doing(|| format!("look at {}", point.source)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use tempfile::TempDir;

    use super::*;
    use crate::Roots;
    use crate::spec::{ContainerConfig, HostConfig, MountDetails, mount_points};

    struct Scene {
        folder: TempDir,
        store: VolumeStore,
    }

    impl Scene {
        /// An image with a folder `/data`.
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let data = folder.path().join("root/data");
            fs::create_dir_all(data.join("sub")).unwrap();
            fs::write(data.join("sub/file"), "content").unwrap();
            fs::set_permissions(data.join("sub/file"), fs::Permissions::from_mode(0o4755)).unwrap();
            symlink("sub/file", data.join("link")).unwrap();
            fs::hard_link(data.join("sub/file"), data.join("other")).unwrap();
            fs::set_permissions(&data, fs::Permissions::from_mode(0o1777)).unwrap();
            let store = VolumeStore::open(&Roots::new(folder.path(), folder.path()));
            Self { folder, store }
        }

        fn root(&self) -> PathBuf {
            self.folder.path().join("root")
        }

        /// What a container that asks for `bind` sees at its place.
        fn run(&self, bind: &str) -> Result<PathBuf, VolumeError> {
            let host_config = HostConfig { binds: vec![bind.to_owned()], ..HostConfig::default() };
            let mut points = mount_points(
                &ContainerConfig::default(),
                &host_config,
                &mut VolumeStore::random_name,
            )
            .unwrap();
            self.store.prepare(&mut points)?;
            self.store.fill(&points, &self.root())?;
            Ok(points.remove(0).source.into())
        }
    }

    fn entries(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_empty_volume_gets_what_the_image_has_there() {
        let scene = Scene::new();
        let data = scene.run("box:/data").unwrap();
        assert_eq!(entries(&data), ["link", "other", "sub"]);
        assert_eq!(fs::metadata(&data).unwrap().mode() & 0o7777, 0o1777);
        let file = fs::metadata(data.join("sub/file")).unwrap();
        let original = fs::metadata(scene.root().join("data/sub/file")).unwrap();
        assert_eq!(file.mode(), original.mode());
        assert_eq!((file.mtime(), file.mtime_nsec()), (original.mtime(), original.mtime_nsec()));
        assert_eq!(file.ino(), fs::metadata(data.join("other")).unwrap().ino());
        assert_eq!(fs::read_link(data.join("link")).unwrap(), Path::new("sub/file"));
    }

    #[test]
    fn only_the_first_container_fills_it() {
        let scene = Scene::new();
        let data = scene.run("box:/data").unwrap();
        for name in entries(&data) {
            let path = data.join(name);
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
        scene.run("box:/data").unwrap();
        assert_eq!(entries(&data), [""; 0]);
    }

    #[test]
    fn what_shall_not_be_copied_and_what_is_not_there_leaves_it_empty() {
        let scene = Scene::new();
        for bind in ["first:/data:nocopy", "second:/missing", "third:/data/sub/file"] {
            assert_eq!(entries(&scene.run(bind).unwrap()), [""; 0], "{bind}");
        }
        // A later one without the word does not fill it either.
        assert_eq!(entries(&scene.run("first:/data").unwrap()), [""; 0]);
    }

    #[test]
    fn a_link_of_the_image_does_not_lead_to_the_host() {
        let scene = Scene::new();
        fs::create_dir(scene.folder.path().join("secret")).unwrap();
        fs::write(scene.folder.path().join("secret/key"), "x").unwrap();
        symlink("../secret", scene.root().join("out")).unwrap();
        symlink(scene.folder.path().join("secret"), scene.root().join("far")).unwrap();
        for bind in ["first:/out", "second:/far"] {
            assert_eq!(entries(&scene.run(bind).unwrap()), [""; 0], "{bind}");
        }
    }

    #[test]
    fn a_folder_of_a_volume_is_looked_up_inside_of_it() {
        let scene = Scene::new();
        scene.run("box:/data").unwrap();
        let pin = |subpath: &str| {
            let details = MountDetails { subpath: subpath.to_owned(), ..MountDetails::default() };
            let source = scene.store.data("box").to_string_lossy().into_owned();
            let point = MountPoint { source, details, ..volume() };
            scene.store.pin(&[point])
        };
        let (points, _pinned) = pin("sub").unwrap();
        assert_eq!(entries(Path::new(&points[0].source)), ["file"]);
        let data = scene.store.data("box");
        symlink("/etc", data.join("far")).unwrap();
        symlink("../..", data.join("up")).unwrap();
        for subpath in ["missing", "far", "up", "..", "../box/_data", "/etc"] {
            let error = pin(subpath).unwrap_err().to_string();
            assert!(error.starts_with("cannot access path "), "{error}");
        }
    }

    fn volume() -> MountPoint {
        let host_config = HostConfig { binds: vec!["box:/x".to_owned()], ..HostConfig::default() };
        let points =
            mount_points(&ContainerConfig::default(), &host_config, &mut VolumeStore::random_name);
        points.unwrap().remove(0)
    }

    #[test]
    fn only_v_makes_a_folder_of_the_host() {
        let scene = Scene::new();
        let missing = scene.folder.path().join("a/b");
        scene.run(&format!("{}:/x", missing.display())).unwrap();
        assert!(missing.is_dir());
        let mount = crate::spec::parse::mount("type=bind,src=/none/of/it,dst=/x").unwrap();
        let host_config = HostConfig { mounts: vec![mount], ..HostConfig::default() };
        let mut points =
            mount_points(&ContainerConfig::default(), &host_config, &mut VolumeStore::random_name)
                .unwrap();
        let error = scene.store.prepare(&mut points).unwrap_err().to_string();
        assert!(error.ends_with("bind source path does not exist: /none/of/it"), "{error}");
    }
}
