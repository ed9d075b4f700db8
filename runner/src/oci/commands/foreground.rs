//! Waiting for a process that was started: its signals, its terminal, its exit code.

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::super::Result;
use super::super::attend::stay;
use super::super::error::Doing as _;
use super::super::kernel::clone::Child;
use super::super::kernel::console::receive;
use super::super::kernel::signals;

/// How a command stays with the process that it has started.
#[derive(Debug)]
pub(super) enum Foreground {
    /// Not at all.
    Detached,
    /// Until it ends: signals to the command are the process's, and so is the command's terminal.
    Attached { signals: OwnedFd, console: Option<Console> },
}

/// The way on which the process's terminal comes here.
#[derive(Debug)]
pub(super) struct Console {
    ours: OwnedFd,
    theirs: OwnedFd,
}

impl Foreground {
    /// Before the process is made: no signal is lost in between.
    pub(super) fn prepare(detach: bool, has_socket: bool) -> Result<Self> {
        if detach {
            return Ok(Self::Detached);
        }
        let pair =
            || socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let console = if has_socket {
            None
        } else {
            let (ours, theirs) = pair().doing(|| "make a pair of sockets")?;
            Some(Console { ours, theirs })
        };
        Ok(Self::Attached { signals: signals::divert().doing(|| "wait for signals")?, console })
    }

    /// Where a process may send its terminal.
    pub(super) fn console(&self) -> Result<Option<OwnedFd>> {
        match self {
            Self::Attached { console: Some(console), .. } => {
                console.theirs.try_clone().map(Some).doing(|| "make a pair of sockets")
            }
            Self::Attached { console: None, .. } | Self::Detached => Ok(None),
        }
    }

    /// Waits for the end of the process: its exit code, and 128 with the number of the signal that
    /// killed it.
    pub(super) fn wait(self, child: &Child) -> Result<u8> {
        let Self::Attached { signals, console } = self else { return Ok(0) };
        let terminal = match console {
            Some(Console { ours, theirs }) => {
                drop(theirs);
                receive(&ours).doing(|| "receive the terminal of the process")?
            }
            None => None,
        };
        stay(child, &signals, terminal)
    }
}
