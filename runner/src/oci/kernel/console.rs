//! A terminal on its way from whoever made it to whoever shows it.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// The longest name of a terminal that may come along.
const LONGEST: usize = 4096;

/// The terminal that was sent; `None` when the other end is gone without having sent one.
pub(crate) fn receive(socket: impl AsFd) -> io::Result<Option<OwnedFd>> {
    let mut name = [0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [IoSliceMut::new(&mut name)];
    recvmsg(socket, &mut name, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    Ok(control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    }))
}
