//! Connections that the kernel remembers, with where their packets go. Those of UDP have no end that it could
//! see: packets of a client that keeps on asking would go for ever to a container that is gone, so they are
//! forgotten by us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::netlink::{Message, Socket, attributes};
use super::{EndpointSettings, Protocol, PublishedPort};

const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_CTNETLINK as u16;
const GET: u16 = 1;
const DELETE: u16 = 2;

/// Attributes of a connection,
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const ID: u16 = 12;
const FILTER: u16 = 25;
/// of one direction of it,
const ADDRESSES: u16 = 1;
const PROTOCOL: u16 = 2;
/// and of their parts. The numbers of addresses are those of IPv4; those of IPv6 are two more.
const SOURCE: u16 = 1;
const DESTINATION: u16 = 2;
const NUMBER: u16 = 1;
const DESTINATION_PORT: u16 = 3;

/// Which of those the kernel is to compare, for the original direction and for that of the answers.
const COMPARE_ORIGINAL: u16 = 1;
const COMPARE_REPLY: u16 = 2;
const COMPARE_SOURCE: u32 = 1;
const COMPARE_NUMBER: u32 = 1 << 3;
const COMPARE_DESTINATION_PORT: u32 = 1 << 5;

/// A connection: the packets of a client, and by whom they are answered.
#[derive(Debug, PartialEq, Eq)]
struct Connection<'answer> {
    original: &'answer [u8],
    id: Option<&'answer [u8]>,
    destination: SocketAddr,
    answered_by: IpAddr,
}

/// Forgets all connections of UDP that a container answers.
pub(super) fn forget_container(socket: &Socket, container: &EndpointSettings) {
    for address in container.addresses() {
        let mut question = question(address.is_ipv4());
        question.nest(REPLY, |reply| {
            reply.nest(ADDRESSES, |part| put_address(part, SOURCE, address));
            reply.nest(PROTOCOL, |part| part.put(NUMBER, &[Protocol::Udp.number()]));
        });
        compare(&mut question, COMPARE_REPLY, COMPARE_SOURCE | COMPARE_NUMBER);
        forget(socket, address.is_ipv4(), question, |connection| connection.answered_by == address);
    }
}

/// Forgets those connections of UDP to published ports that others answer than the container which has the ports now:
/// another container, or the host itself.
pub(super) fn forget_others(socket: &Socket, container: &EndpointSettings) {
    for port in container.ports.iter().filter(|port| is_udp(port)) {
        let is_ipv4 = port.host_ip.is_ipv4();
        let mut question = question(is_ipv4);
        question.nest(ORIGINAL, |original| {
            original.nest(PROTOCOL, |part| {
                part.put(NUMBER, &[Protocol::Udp.number()]);
                part.put(DESTINATION_PORT, &port.host_port.to_be_bytes());
            });
        });
        compare(&mut question, COMPARE_ORIGINAL, COMPARE_NUMBER | COMPARE_DESTINATION_PORT);
        forget(socket, is_ipv4, question, |connection| {
            let Connection { destination, answered_by, .. } = connection;
            destination.port() == port.host_port
                && container.addresses().all(|own| own != *answered_by)
                && (destination.ip() != *answered_by || is_of_host(*answered_by))
        });
    }
}

pub(super) fn is_udp(port: &PublishedPort) -> bool {
    port.container.protocol == Protocol::Udp
}

/// Others are spoken to at the same port elsewhere, by programs of the host and by containers.
fn is_of_host(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Forgets what the kernel has for a question. It may know of less to compare than it was asked to, so `is_meant`
/// decides. What it does not forget, it forgets in a minute or two of silence.
fn forget(
    socket: &Socket,
    is_ipv4: bool,
    question: Message,
    is_meant: impl Fn(&Connection<'_>) -> bool,
) {
    let answers = socket.list(question).unwrap_or_default();
    for connection in answers.iter().filter_map(|answer| read(answer)).filter(is_meant) {
        let mut message = message(DELETE, is_ipv4);
        message.put(ORIGINAL | libc::NLA_F_NESTED as u16, connection.original);
        if let Some(id) = connection.id {
            message.put(ID, id);
        }
        let _ = socket.execute(vec![message]);
    }
}

fn message(kind: u16, is_ipv4: bool) -> Message {
    let family = if is_ipv4 { libc::AF_INET } else { libc::AF_INET6 };
    Message::new(SUBSYSTEM << 8 | kind, 0, &[family as u8, 0, 0, 0])
}

fn question(is_ipv4: bool) -> Message {
    message(GET, is_ipv4)
}

fn compare(question: &mut Message, direction: u16, parts: u32) {
    question.nest(FILTER, |filter| filter.put(direction, &parts.to_ne_bytes()));
}

fn put_address(part: &mut Message, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => part.put(kind, &address.octets()),
        IpAddr::V6(address) => part.put(kind + 2, &address.octets()),
    }
}

fn read(answer: &[u8]) -> Option<Connection<'_>> {
    let answer = answer.get(4..)?;
    let original = find(answer, ORIGINAL)?;
    let destination = address(find(original, ADDRESSES)?, DESTINATION)?;
    let port = find(find(original, PROTOCOL)?, DESTINATION_PORT)?;
    let answered_by = address(find(find(answer, REPLY)?, ADDRESSES)?, SOURCE)?;
    Some(Connection {
        original,
        id: find(answer, ID),
        destination: SocketAddr::new(destination, u16::from_be_bytes(port.try_into().ok()?)),
        answered_by,
    })
}

fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

fn address(bytes: &[u8], kind: u16) -> Option<IpAddr> {
    if let Some(octets) = find(bytes, kind) {
        return Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).into());
    }
    let octets = find(bytes, kind + 2)?;
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_read_as_the_kernel_writes_it() {
        let (client, host, container) = (
            Ipv4Addr::new(203, 0, 113, 2),
            Ipv4Addr::new(203, 0, 113, 1),
            Ipv4Addr::new(172, 17, 0, 2),
        );
        let mut written = message(GET, true);
        for (kind, source, destination, port) in
            [(ORIGINAL, client, host, 8053_u16), (REPLY, container, client, 4000)]
        {
            written.nest(kind, |direction| {
                direction.nest(ADDRESSES, |part| {
                    part.put(SOURCE, &source.octets());
                    part.put(DESTINATION, &destination.octets());
                });
                direction.nest(PROTOCOL, |part| {
                    part.put(NUMBER, &[17]);
                    part.put(DESTINATION_PORT, &port.to_be_bytes());
                });
            });
        }
        written.put(ID, &[1, 2, 3, 4]);
        let bytes = written.into_payload();
        let connection = read(&bytes).unwrap();
        assert_eq!(connection.destination, SocketAddr::from((host, 8053)));
        assert_eq!(connection.answered_by, container);
        assert_eq!(connection.id, Some(&[1, 2, 3, 4][..]));
        for length in 0..bytes.len() - 8 {
            // What is cut off is no connection.
            assert_eq!(read(&bytes[..length]), None, "{length}");
        }
    }
}
