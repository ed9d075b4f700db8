//! Where a runtime sends the terminal of a program to.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};

use super::error::{ContainerError, Doing as _};
use super::process::path_in;
use super::runtime::CONSOLE;
use crate::oci::kernel::console::receive;

/// A socket in a folder, which goes with the folder.
#[derive(Debug)]
pub(super) struct Console(UnixListener);

impl Console {
    /// Makes it in the folder that the runtime is started in.
    pub(super) fn make(folder: &Path) -> Result<Self, ContainerError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = open(folder, flags, Mode::empty());
        let opened = opened.doing(|| format!("open {}", folder.display()))?;
        UnixListener::bind(path_in(&opened, CONSOLE)).map(Self).doing(|| "make the console socket")
    }

    /// Takes the terminal, once the runtime has made the program.
    pub(super) fn take(&self) -> Result<OwnedFd, ContainerError> {
        let take = || {
            let (connection, _) = self.0.accept()?;
            let sent = receive(connection)?;
            sent.ok_or_else(|| io::Error::other("the runtime has sent no terminal"))
        };
        take().doing(|| "receive the terminal of the program")
    }
}
