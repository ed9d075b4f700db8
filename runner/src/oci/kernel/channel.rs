//! The talk between a command and the process that it has cloned: whole messages over a pair of
//! sockets. The end of the other one is a message, too.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};

/// The longest reason of a failure that is passed on.
const LONGEST: usize = 4096;

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// By the process: its namespaces are there, and the mounts of the host still are. By the
    /// command: go on.
    Namespaces,
    /// By the process: everything is there, and it waits. By the command: execute.
    Ready,
    /// By the process: it could not do something, and ends.
    Failed(String),
}

/// One end. It is closed when its process executes another program.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

impl Channel {
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC;
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self(one), Self(other)))
    }

    pub(crate) fn send(&self, message: &Message) -> io::Result<()> {
        let bytes = match message {
            Message::Namespaces => vec![0],
            Message::Ready => vec![1],
            Message::Failed(reason) => {
                let reason = reason.as_bytes();
                [&[2], &reason[..reason.len().min(LONGEST)]].concat()
            }
        };
        send(&self.0, &bytes, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// The next message; `None` when the other end is gone.
    pub(crate) fn receive(&self) -> io::Result<Option<Message>> {
        let mut bytes = [0; LONGEST + 1];
        let length = loop {
            match recv(&self.0, &mut bytes[..], RecvFlags::empty()) {
                Ok((length, _)) => break length,
                // The second is told once when the other end is gone and has not read all; what it
                // has said before is still there.
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
                Err(error) => return Err(error.into()),
            }
        };
        match bytes[..length].split_first() {
            None => Ok(None),
            Some((0, _)) => Ok(Some(Message::Namespaces)),
            Some((1, _)) => Ok(Some(Message::Ready)),
            Some((_, reason)) => {
                Ok(Some(Message::Failed(String::from_utf8_lossy(reason).into_owned())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_whole_and_the_end_is_seen() {
        let (one, other) = Channel::pair().unwrap();
        let said = [Message::Ready, Message::Failed("no such file".into()), Message::Namespaces];
        for message in &said {
            one.send(message).unwrap();
        }
        drop(one);
        for message in said {
            assert_eq!(other.receive().unwrap(), Some(message));
        }
        assert_eq!(other.receive().unwrap(), None);
    }

    #[test]
    fn the_last_word_is_heard_although_nobody_listened() {
        let (one, other) = Channel::pair().unwrap();
        other.send(&Message::Namespaces).unwrap();
        one.send(&Message::Failed("why".into())).unwrap();
        drop(one);
        assert_eq!(other.receive().unwrap(), Some(Message::Failed("why".into())));
        assert_eq!(other.receive().unwrap(), None);
    }

    #[test]
    fn a_reason_that_is_too_long_is_cut() {
        let (one, other) = Channel::pair().unwrap();
        one.send(&Message::Failed("x".repeat(LONGEST * 2))).unwrap();
        assert_eq!(other.receive().unwrap(), Some(Message::Failed("x".repeat(LONGEST))));
    }
}
