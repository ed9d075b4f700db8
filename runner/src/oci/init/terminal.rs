//! A terminal of the container's own, handed to whoever keeps the other end.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Gid, OFlags, Uid, fchown, fstat, fstatfs};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::ioctl_tiocsctty;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::termios::{Winsize, tcsetwinsize};

use super::super::Result;
use super::super::error::{Doing as _, Error};
use super::super::kernel::mount::{attach, copy_of_open};
use super::super::kernel::root::RootDirectory;
use super::super::plan::ProcessPlan;

/// What `statfs` calls a devpts.
const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;
const NAME: &[u8] = b"/dev/pts/ptmx";

/// Makes a terminal, sends its other end to `console`, and has this process use it. With
/// `is_first` it is the container's `/dev/console`, too.
pub(super) fn open(
    root: &RootDirectory,
    process: &ProcessPlan,
    console: Option<OwnedFd>,
    is_first: bool,
) -> Result<()> {
    let console = console.ok_or_else(|| {
        Error::invalid("process.terminal is wanted, and there is no --console-socket to send it to")
    })?;
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let outer = root.open(Path::new("/dev/pts/ptmx"), flags).doing(|| "open /dev/pts/ptmx")?;
    let is_devpts =
        fstatfs(&outer).doing(|| "look at /dev/pts")?.f_type as u64 == DEVPTS_SUPER_MAGIC;
    let kind = FileType::from_raw_mode(fstat(&outer).doing(|| "look at /dev/pts/ptmx")?.st_mode);
    if !is_devpts || kind != FileType::CharacterDevice {
        return Err(Error::invalid("process.terminal needs a devpts mounted on /dev/pts"));
    }
    unlockpt(&outer).doing(|| "unlock the terminal")?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let inner = ioctl_tiocgptpeer(&outer, flags).doing(|| "open the terminal")?;
    if let Some(size) = process.console_size {
        let size = Winsize { ws_row: size.height, ws_col: size.width, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&inner, size).doing(|| "set the size of the terminal")?;
    }
    if process.uid != 0 {
        let keep: Option<Gid> = None;
        fchown(&inner, Some(Uid::from_raw(process.uid)), keep)
            .doing(|| "hand over the terminal")?;
    }
    if is_first {
        let mount = || -> std::io::Result<()> {
            let target = root.make_file(Path::new("/dev/console"))?;
            attach(copy_of_open(inner.as_fd(), false)?, target)
        };
        mount().doing(|| "mount the terminal on /dev/console")?;
    }
    send(&console, outer)?;
    ioctl_tiocsctty(&inner).doing(|| "make the terminal that of this session")?;
    dup2_stdin(&inner)
        .and_then(|()| dup2_stdout(&inner))
        .and_then(|()| dup2_stderr(&inner))
        .doing(|| "use the terminal")
}

fn send(console: &OwnedFd, outer: OwnedFd) -> Result<()> {
    let fds = [outer.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    // The space is for one descriptor.
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let name = [IoSlice::new(NAME)];
    sendmsg(console, &name, &mut control, SendFlags::NOSIGNAL).doing(|| "send the terminal")?;
    Ok(())
}
