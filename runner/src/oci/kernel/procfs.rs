//! The host's `/proc`: opened once, seen to be one, and never left.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstatfs, openat, openat2};

/// What `statfs` calls a procfs.
pub(crate) const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// A procfs. What is under `sys/` in it is that of the namespaces of whoever looks.
#[derive(Debug)]
pub(crate) struct Procfs(OwnedFd);

impl Procfs {
    /// The one of the host.
    pub(crate) fn open() -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, "/proc", flags, Mode::empty())?;
        if fstatfs(&folder)?.f_type as u64 != PROC_SUPER_MAGIC {
            return Err(io::Error::other("/proc is no procfs"));
        }
        Ok(Self(folder))
    }

    pub(crate) fn read(&self, path: &str) -> io::Result<String> {
        let mut text = String::new();
        self.file(path, OFlags::RDONLY)?.read_to_string(&mut text)?;
        Ok(text)
    }

    pub(crate) fn write(&self, path: &str, text: &str) -> io::Result<()> {
        self.file(path, OFlags::WRONLY)?.write_all(text.as_bytes())
    }

    /// A file of the procfs itself: what is mounted over it, or is a link out of it, is refused.
    fn file(&self, path: &str, flags: OFlags) -> io::Result<File> {
        let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        let file = openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), inside)?;
        Ok(File::from(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_it_are_read_and_nothing_else_is() {
        let procfs = Procfs::open().unwrap();
        assert!(procfs.read("self/stat").unwrap().contains(") "));
        assert!(procfs.read("self/exe").is_err());
        assert!(procfs.read("self/cwd/Cargo.toml").is_err());
        assert!(procfs.read("../etc/passwd").is_err());
    }
}
