//! The root of a container, whose contents are somebody else's: whatever is looked up in it stays in
//! it, and is looked up once.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, mknodat, openat, openat2,
    readlinkat, symlinkat, unlinkat,
};
use rustix::io::Errno;

/// As many symbolic links as the kernel follows in a path.
const MOST_LINKS: usize = 40;

/// A folder that lookups do not leave: `..` ends at it, absolute links begin at it, and links of
/// `/proc` that lead to open files are refused.
#[derive(Debug)]
pub(crate) struct RootDirectory(OwnedFd);

impl RootDirectory {
    pub(crate) fn new(directory: OwnedFd) -> Self {
        Self(directory)
    }

    /// What is at `path`, as a name only: nothing happens to it by being opened.
    pub(crate) fn look_up(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open(path, OFlags::PATH)
    }

    /// Opens what is at `path`.
    pub(crate) fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        loop {
            match openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), inside) {
                // A rename raced with a `..` in it.
                Err(Errno::AGAIN) => {}
                other => return Ok(other?),
            }
        }
    }

    /// The folder at `path`, made with all above it where it is missing.
    pub(crate) fn make_directory(&self, path: &Path, mode: u32) -> io::Result<OwnedFd> {
        match self.open(path, OFlags::PATH | OFlags::DIRECTORY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Walk::new(self)?.make(path, Mode::from_raw_mode(mode))
            }
            other => other,
        }
    }

    /// The file at `path`, made empty where it is missing.
    pub(crate) fn make_file(&self, path: &Path) -> io::Result<OwnedFd> {
        match self.look_up(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let (parent, name) = self.make_parent(path)?;
        mknodat(&parent, name, FileType::RegularFile, Mode::from_raw_mode(0o644), 0)?;
        Ok(openat(&parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// The folder that `path` is in, made where it is missing, and its name in there.
    pub(crate) fn make_parent<'path>(
        &self,
        path: &'path Path,
    ) -> io::Result<(OwnedFd, &'path OsStr)> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        Ok((self.make_directory(path.parent().unwrap_or(Path::new("/")), 0o755)?, name))
    }

    /// Makes the symbolic link `path`, in place of a link that is there.
    pub(crate) fn make_link(&self, target: &Path, path: &Path) -> io::Result<()> {
        let (parent, name) = self.make_parent(path)?;
        match symlinkat(target, &parent, name) {
            Err(Errno::EXIST) => {}
            other => return Ok(other?),
        }
        if readlinkat(&parent, name, Vec::new()).is_err() {
            // A file of the image's own: it has its reasons.
            return Ok(());
        }
        unlinkat(&parent, name, AtFlags::empty())?;
        Ok(symlinkat(target, &parent, name)?)
    }
}

impl AsFd for RootDirectory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A path on its way down, a component at a time. Each folder that was gone through is held, so a
/// `..` leads back to where the walk came from, wherever that has been moved to.
struct Walk {
    folders: Vec<OwnedFd>,
    links: usize,
}

impl Walk {
    fn new(root: &RootDirectory) -> io::Result<Self> {
        Ok(Self { folders: vec![root.0.try_clone()?], links: 0 })
    }

    /// Goes to `path`, and makes each folder that is missing.
    fn make(mut self, path: &Path, mode: Mode) -> io::Result<OwnedFd> {
        let mut rest: VecDeque<OsString> = components(path);
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                if self.folders.len() > 1 {
                    self.folders.pop();
                }
                continue;
            }
            if let Some(target) = self.step(&name, mode)? {
                if target.is_absolute() {
                    self.folders.truncate(1);
                }
                for component in components(&target).into_iter().rev() {
                    rest.push_front(component);
                }
            }
        }
        // The root is never popped.
        self.folders.pop().ok_or_else(|| Errno::NOENT.into())
    }

    /// Goes into the folder `name`; where it is a link, its target is still to be gone to.
    fn step(&mut self, name: &OsStr, mode: Mode) -> io::Result<Option<PathBuf>> {
        let here = self.folders.last().ok_or(Errno::NOENT)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = match openat(here, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                // That somebody else makes it at the same time is as good.
                match mkdirat(here, name, mode) {
                    Err(Errno::EXIST) | Ok(()) => {}
                    Err(error) => return Err(error.into()),
                }
                openat(here, name, flags, Mode::empty())?
            }
            other => other?,
        };
        match FileType::from_raw_mode(fstat(&found)?.st_mode) {
            FileType::Directory => {
                self.folders.push(found);
                Ok(None)
            }
            FileType::Symlink => {
                self.links += 1;
                if self.links > MOST_LINKS {
                    return Err(Errno::LOOP.into());
                }
                let target = readlinkat(&found, "", Vec::new())?;
                Ok(Some(PathBuf::from(OsString::from_vec(target.into_bytes()))))
            }
            _ => Err(Errno::NOTDIR.into()),
        }
    }
}

fn components(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// A container's root in a folder that nothing may get into.
    struct Jail {
        host: TempDir,
        root: RootDirectory,
    }

    impl Jail {
        fn new() -> Self {
            let host = tempfile::tempdir().unwrap();
            fs::create_dir(host.path().join("root")).unwrap();
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let root = rustix::fs::open(host.path().join("root"), flags, Mode::empty()).unwrap();
            Self { root: RootDirectory::new(root), host }
        }

        fn inside(&self, path: &str) -> PathBuf {
            self.host.path().join("root").join(path)
        }

        fn entries_of_the_host(&self) -> usize {
            fs::read_dir(self.host.path()).unwrap().count()
        }
    }

    #[test]
    fn folders_are_made_through_links_that_point_to_nothing_yet() {
        let jail = Jail::new();
        symlink("/run", jail.inside("var")).unwrap();
        jail.root.make_directory(Path::new("/var/lock/a"), 0o755).unwrap();
        assert!(jail.inside("run/lock/a").is_dir());
    }

    #[test]
    fn no_path_leads_out() {
        let jail = Jail::new();
        symlink("../../../../..", jail.inside("up")).unwrap();
        symlink(jail.host.path(), jail.inside("absolute")).unwrap();
        for path in ["/up/x/y", "/absolute/x/y", "/../../x/y", "/a/../../../x/y"] {
            jail.root.make_directory(Path::new(path), 0o755).unwrap();
            jail.root.make_file(&Path::new(path).join("file")).unwrap();
        }
        assert_eq!(jail.entries_of_the_host(), 1);
        assert!(jail.inside("x/y/file").is_file());
    }

    #[test]
    fn links_in_a_circle_are_refused() {
        let jail = Jail::new();
        symlink("b", jail.inside("a")).unwrap();
        symlink("a", jail.inside("b")).unwrap();
        let error = jail.root.make_directory(Path::new("/a/c"), 0o755).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::LOOP.raw_os_error()));
    }

    #[test]
    fn a_link_to_an_open_file_is_not_followed() {
        let slash = RootDirectory::new(
            rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap(),
        );
        let error = slash.look_up(Path::new("/proc/self/root")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::LOOP.raw_os_error()));
    }

    #[test]
    fn a_fifo_in_the_way_is_an_error_and_no_wait() {
        let jail = Jail::new();
        let (parent, name) = jail.root.make_parent(Path::new("/dev")).unwrap();
        mknodat(&parent, name, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let error = jail.root.make_directory(Path::new("/dev/pts"), 0o755).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }
}
