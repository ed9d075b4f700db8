//! Requests about links, addresses and routes.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::io::Errno;

use crate::network::MacAddress;

use super::message::{Message, attributes};
use super::socket::Socket;

const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const UP: u32 = libc::IFF_UP as u32;

/// The name of the peer in the attributes of a veth; the C library does not have it.
const VETH_INFO_PEER: u16 = 1;
/// Of a port of a bridge: whether what came by it may leave by it.
const IFLA_BRPORT_MODE: u16 = 4;

/// A link as the kernel has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::network) struct Link {
    pub(in crate::network) index: u32,
    pub(in crate::network) is_up: bool,
}

/// The link of this name, if there is one.
pub(in crate::network) fn find_link(socket: &Socket, name: &str) -> Result<Option<Link>, Errno> {
    let mut message = Message::new(libc::RTM_GETLINK, 0, &link_header(0, 0, 0));
    message.put_text(libc::IFLA_IFNAME, name);
    match socket.ask(message) {
        Ok(answers) => Ok(answers.first().and_then(|answer| read_link(answer))),
        Err(Errno::NODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_link(answer: &[u8]) -> Option<Link> {
    let index = u32::from_ne_bytes(*answer.get(4..)?.first_chunk()?);
    let flags = u32::from_ne_bytes(*answer.get(8..)?.first_chunk()?);
    Some(Link { index, is_up: flags & UP != 0 })
}

/// A bridge that is down yet.
pub(in crate::network) fn new_bridge(name: &str, address: MacAddress) -> Message {
    let mut message = Message::new(libc::RTM_NEWLINK, CREATE, &link_header(0, 0, 0));
    message.put_text(libc::IFLA_IFNAME, name);
    message.put(libc::IFLA_ADDRESS, &address.0);
    message.nest(libc::IFLA_LINKINFO, |info| info.put_text(libc::IFLA_INFO_KIND, "bridge"));
    message
}

/// A pair of links: one is a port of the bridge `master` and up, the other is `eth0` in `namespace`
/// from its first moment, and down. To move it there later would take a hundred times as long.
pub(in crate::network) fn new_pair(
    name: &str,
    master: u32,
    namespace: BorrowedFd<'_>,
    address: MacAddress,
) -> Message {
    let mut message = Message::new(libc::RTM_NEWLINK, CREATE, &link_header(0, UP, UP));
    message.put_text(libc::IFLA_IFNAME, name);
    message.put(libc::IFLA_MASTER, &master.to_ne_bytes());
    message.nest(libc::IFLA_LINKINFO, |info| {
        info.put_text(libc::IFLA_INFO_KIND, "veth");
        info.nest(libc::IFLA_INFO_DATA, |data| {
            data.nest(VETH_INFO_PEER, |peer| {
                peer.put_bare(&link_header(0, 0, 0));
                peer.put_text(libc::IFLA_IFNAME, "eth0");
                peer.put(libc::IFLA_ADDRESS, &address.0);
                peer.put(libc::IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes());
            });
        });
    });
    message
}

/// Lets what came by a port of a bridge leave by it.
pub(in crate::network) fn allow_hairpin(name: &str) -> Message {
    let mut message = Message::new(libc::RTM_NEWLINK, 0, &link_header(0, 0, 0));
    message.put_text(libc::IFLA_IFNAME, name);
    message.nest(libc::IFLA_LINKINFO, |info| {
        info.put_text(libc::IFLA_INFO_SLAVE_KIND, "bridge");
        info.nest(libc::IFLA_INFO_SLAVE_DATA, |port| port.put(IFLA_BRPORT_MODE, &[1]));
    });
    message
}

/// Brings a link up.
pub(in crate::network) fn set_up(index: u32) -> Message {
    Message::new(libc::RTM_NEWLINK, 0, &link_header(index, UP, UP))
}

/// Takes a link away.
pub(in crate::network) fn delete_link(index: u32) -> Message {
    Message::new(libc::RTM_DELLINK, 0, &link_header(index, 0, 0))
}

/// Gives a link an address. One of IPv6 is used at once: nobody else has it, as we hand it out.
pub(in crate::network) fn new_address(index: u32, address: IpAddr, prefix: u8) -> Message {
    let flags = match address {
        IpAddr::V4(_) => 0,
        IpAddr::V6(_) => libc::IFA_F_NODAD as u8,
    };
    let [a, b, c, d] = index.to_ne_bytes();
    let header = [family(address), prefix, flags, libc::RT_SCOPE_UNIVERSE, a, b, c, d];
    let mut message = Message::new(libc::RTM_NEWADDR, CREATE, &header);
    put_address(&mut message, libc::IFA_LOCAL, address);
    put_address(&mut message, libc::IFA_ADDRESS, address);
    if let IpAddr::V4(address) = address {
        let broadcast = u32::from(address) | u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
        message.put(libc::IFA_BROADCAST, &broadcast.to_be_bytes());
    }
    message
}

/// Has the world reached by a link and by who has `gateway` on it.
pub(in crate::network) fn new_default_route(index: u32, gateway: IpAddr) -> Message {
    let mut message = Message::new(libc::RTM_NEWROUTE, CREATE, &route_header(family(gateway)));
    put_address(&mut message, libc::RTA_GATEWAY, gateway);
    message.put(libc::RTA_OIF, &index.to_ne_bytes());
    message
}

/// The subnets that the host has routes into, by address and prefix; not the default route.
pub(in crate::network) fn routes(socket: &Socket) -> Result<Vec<(Ipv4Addr, u8)>, Errno> {
    let message = Message::new(libc::RTM_GETROUTE, 0, &route_header(libc::AF_INET as u8));
    Ok(socket.list(message)?.iter().filter_map(|answer| read_route(answer)).collect())
}

fn read_route(answer: &[u8]) -> Option<(Ipv4Addr, u8)> {
    let prefix = *answer.get(1)?;
    let rest = answer.get(ROUTE_HEADER..)?;
    let (_, destination) = attributes(rest).find(|(kind, _)| *kind == libc::RTA_DST)?;
    Some((Ipv4Addr::from(*destination.first_chunk::<4>()?), prefix))
}

fn put_address(message: &mut Message, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => message.put(kind, &address.octets()),
        IpAddr::V6(address) => message.put(kind, &address.octets()),
    }
}

fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

/// `struct ifinfomsg`.
fn link_header(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&change.to_ne_bytes());
    header
}

/// The length of `struct rtmsg`.
const ROUTE_HEADER: usize = 12;

fn route_header(family: u8) -> [u8; ROUTE_HEADER] {
    let mut header = [0; ROUTE_HEADER];
    header[0] = family;
    header[4] = libc::RT_TABLE_MAIN;
    header[5] = libc::RTPROT_BOOT;
    header[6] = libc::RT_SCOPE_UNIVERSE;
    header[7] = libc::RTN_UNICAST;
    header
}
