//! The links of a container: its loopback, and `eth0`.

use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::error::Doing as _;
use super::namespace::Namespace;
use super::netlink::Socket;
use super::netlink::route::{self, Link};
use super::{EndpointSettings, MacAddress, NetworkError};

/// The number that the kernel gives to every loopback.
const LOOPBACK: u32 = 1;

/// A namespace with a loopback and nothing else.
pub(super) fn isolated(namespace: Namespace) -> Result<OwnedFd, NetworkError> {
    let up = namespace.socket.execute(vec![route::set_up(LOOPBACK)]);
    up.doing(|| "cannot bring the loopback up")?;
    Ok(namespace.descriptor)
}

/// A namespace with `eth0`, whose other end is a port of the bridge.
pub(super) fn connected(
    namespace: Namespace,
    socket: &Socket,
    bridge: Link,
    settings: &EndpointSettings,
) -> Result<OwnedFd, NetworkError> {
    let address = settings.mac.unwrap_or(MacAddress([2, 0, 0, 0, 0, 1]));
    let name = port_name().doing(|| "cannot choose a name for a link")?;
    let mut pair =
        vec![route::new_pair(&name, bridge.index, namespace.descriptor.as_fd(), address)];
    if !settings.ports.is_empty() {
        // A container that calls itself by a port of the host comes back by its own.
        pair.push(route::allow_hairpin(&name));
    }
    socket.execute(pair).doing(|| "cannot make a link to the bridge")?;
    configure(&namespace.socket, settings).doing(|| "cannot configure the container's link")?;
    Ok(namespace.descriptor)
}

fn configure(inside: &Socket, settings: &EndpointSettings) -> Result<(), Errno> {
    let link = route::find_link(inside, "eth0")?;
    let index = link.ok_or(Errno::NODEV)?.index;
    let ipv4 = settings.ipv4.map(IpAddr::V4);
    let ipv6 = settings.ipv6.map(IpAddr::V6);
    let mut messages = vec![route::set_up(LOOPBACK), route::set_up(index)];
    for (address, prefix) in [(ipv4, settings.ipv4_prefix), (ipv6, settings.ipv6_prefix)] {
        messages.extend(address.map(|address| route::new_address(index, address, prefix)));
    }
    let gateways = [settings.gateway.map(IpAddr::V4), settings.ipv6_gateway.map(IpAddr::V6)];
    let route = |gateway| route::new_default_route(index, gateway);
    messages.extend(gateways.into_iter().flatten().map(route));
    inside.execute(messages)
}

/// A name that no other link has: it must differ from those of containers that are gone, too, as the
/// kernel takes its time with them.
fn port_name() -> Result<String, Errno> {
    let mut random = [0; 4];
    getrandom(&mut random, GetRandomFlags::empty())?;
    Ok(format!("veth{:08x}", u32::from_ne_bytes(random)))
}
