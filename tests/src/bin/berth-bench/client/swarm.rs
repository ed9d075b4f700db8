//! Many connections with small requests and answers, from one thread.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::Response;
use super::head::Head;

/// No server may stay silent for longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks on `connections` connections at the same time. `next` gets the number of a connection and what came on it
/// last, and gives what to ask there next, as raw bytes; `None` when that connection is done.
pub(crate) fn swarm(
    address: SocketAddr,
    connections: usize,
    mut next: impl FnMut(usize, Option<Response>) -> Result<Option<Vec<u8>>>,
) -> Result<()> {
    let mut members = Vec::with_capacity(connections);
    for _ in 0..connections {
        let stream =
            TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        members.push(Member { stream, received: Vec::new(), busy: false });
    }
    for (index, member) in members.iter_mut().enumerate() {
        member.ask(next(index, None)?)?;
    }
    while members.iter().any(|member| member.busy) {
        for index in readable(&members)? {
            if let Some(response) = members[index].take()? {
                let request = next(index, Some(response))?;
                members[index].ask(request)?;
            }
        }
    }
    Ok(())
}

struct Member {
    stream: TcpStream,
    received: Vec<u8>,
    busy: bool,
}

impl Member {
    fn ask(&mut self, request: Option<Vec<u8>>) -> Result<()> {
        self.busy = request.is_some();
        let mut rest = request.as_deref().unwrap_or_default();
        while !rest.is_empty() {
            let sent = send(&self.stream, rest, SendFlags::NOSIGNAL)?;
            rest = &rest[sent..];
        }
        Ok(())
    }

    /// Takes what has come, and the answer if it is whole.
    fn take(&mut self) -> Result<Option<Response>> {
        let mut buffer = [0; 8 * 1024];
        match recv(&self.stream, &mut buffer, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => anyhow::bail!("the server closed the connection"),
            Ok((_, len)) => self.received.extend_from_slice(&buffer[..len]),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let Some((head, head_len)) = Head::parse(&self.received)? else { return Ok(None) };
        let end = head_len + usize::try_from(head.body_len()?)?;
        if self.received.len() < end {
            return Ok(None);
        }
        let body = self.received[head_len..end].to_vec();
        self.received.drain(..end);
        Ok(Some(Response { head, body }))
    }
}

fn readable(members: &[Member]) -> Result<Vec<usize>> {
    let busy: Vec<usize> = (0..members.len()).filter(|index| members[*index].busy).collect();
    let mut wanted: Vec<PollFd<'_>> =
        busy.iter().map(|index| PollFd::new(&members[*index].stream, PollFlags::IN)).collect();
    let patience = Timespec::try_from(PATIENCE)?;
    let ready = loop {
        match poll(&mut wanted, Some(&patience)) {
            Err(Errno::INTR) => {}
            ready => break ready?,
        }
    };
    ensure!(ready > 0, "the server said nothing for {PATIENCE:?}");
    let ready = busy.iter().zip(&wanted).filter(|(_, fd)| !fd.revents().is_empty());
    Ok(ready.map(|(index, _)| *index).collect())
}
