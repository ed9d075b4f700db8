//! A socket to the kernel. It belongs to the network namespace that it was made in, whoever uses
//! it; the kernel does what it is told while it is told, so the answers are there when the sending
//! returns.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

use super::message::{HEADER, Message};

/// As much as the kernel sends at once.
const LARGEST_ANSWER: usize = 32 * 1024;

/// What a socket talks of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::network) enum Family {
    Route,
    Netfilter,
}

/// A socket of one family.
#[derive(Debug)]
pub(in crate::network) struct Socket(OwnedFd);

impl Socket {
    pub(in crate::network) fn open(family: Family) -> io::Result<Self> {
        let protocol = match family {
            // Its number is that of none.
            Family::Route => None,
            Family::Netfilter => Some(netlink::NETFILTER),
        };
        Ok(Self(socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?))
    }

    /// Has the kernel do all that the messages ask for, in their order, until it refuses one.
    pub(in crate::network) fn execute(&self, messages: Vec<Message>) -> Result<(), Errno> {
        self.exchange(messages, |_| libc::NLM_F_ACK as u16).map(|_| ())
    }

    /// The same for messages that the kernel takes or refuses as a whole, between two that mark
    /// their begin and end.
    pub(in crate::network) fn execute_batch(&self, messages: Vec<Message>) -> Result<(), Errno> {
        let last = messages.len().saturating_sub(2);
        let acknowledged = |index| if index == last { libc::NLM_F_ACK as u16 } else { 0 };
        self.exchange(messages, acknowledged).map(|_| ())
    }

    /// What the kernel knows: each answer without its header.
    pub(in crate::network) fn ask(&self, message: Message) -> Result<Vec<Vec<u8>>, Errno> {
        self.exchange(vec![message], |_| libc::NLM_F_ACK as u16)
    }

    /// What the kernel has of something, one after the other.
    pub(in crate::network) fn list(&self, message: Message) -> Result<Vec<Vec<u8>>, Errno> {
        self.exchange(vec![message], |_| libc::NLM_F_DUMP as u16)
    }

    fn exchange(
        &self,
        messages: Vec<Message>,
        flags: impl Fn(usize) -> u16,
    ) -> Result<Vec<Vec<u8>>, Errno> {
        let mut bytes = Vec::new();
        for (index, message) in messages.into_iter().enumerate() {
            bytes.extend_from_slice(&message.finish(index as u32, flags(index)));
        }
        send(&self.0, &bytes, SendFlags::empty())?;

        let mut answers = Answers::default();
        let mut buffer = vec![0; LARGEST_ANSWER];
        loop {
            match recv(&self.0, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => answers.read(&buffer[..length]),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        match answers.refused {
            Some(error) => Err(error),
            // The kernel always says that it is done; else it has not understood.
            None if !answers.done => Err(Errno::PROTO),
            None => Ok(answers.found),
        }
    }
}

#[derive(Debug, Default)]
struct Answers {
    found: Vec<Vec<u8>>,
    refused: Option<Errno>,
    done: bool,
}

impl Answers {
    fn read(&mut self, mut bytes: &[u8]) {
        while let Some(header) = bytes.first_chunk::<HEADER>() {
            let number = |at: usize| {
                u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
            };
            let length = (number(0) as usize).clamp(HEADER, bytes.len());
            let payload = &bytes[HEADER..length];
            match i32::from(u16::from_ne_bytes([header[4], header[5]])) {
                libc::NLMSG_ERROR => self.acknowledge(payload),
                libc::NLMSG_DONE => self.done = true,
                _ => self.found.push(payload.to_vec()),
            }
            bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }

    /// The first refusal counts: what comes after it follows from it.
    fn acknowledge(&mut self, payload: &[u8]) {
        self.done = true;
        let code = payload.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
        if code != 0 && self.refused.is_none() {
            self.refused = Some(Errno::from_raw_os_error(-code));
        }
    }
}
