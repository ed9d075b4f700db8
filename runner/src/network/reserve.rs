//! Ports of the host that are taken for containers.
//!
//! What comes to a published port is sent on by the firewall and never meets a socket of the host.
//! But a port that a program of the host has must not be taken from it, nor be given to one later: so
//! a socket is bound to each. It goes with the process that holds it, and does not listen but for what the kernel cannot
//! send on (`relay`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, ipproto, socket_with, sockopt,
};

use super::{NetworkError, Port, PortMapping, Protocol, PublishedPort};

/// Where published ports are taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    /// Whether a port that is published at all addresses is published by IPv6, too.
    pub(super) ipv6: bool,
}

/// Ports that are taken.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    pub(super) ports: Vec<PublishedPort>,
    pub(super) sockets: Vec<OwnedFd>,
}

impl Host {
    /// Takes all the ports that are to be published, or none.
    pub(super) fn reserve(self, mappings: &[PortMapping]) -> Result<Reserved, NetworkError> {
        let mut reserved = Reserved::default();
        for mapping in mappings {
            let (port, sockets) = self.reserve_one(mapping)?;
            for (socket, host_ip) in sockets {
                let container = mapping.port();
                reserved.ports.push(PublishedPort { container, host_ip, host_port: port });
                reserved.sockets.push(socket);
            }
        }
        Ok(reserved)
    }

    fn addresses(self, mapping: &PortMapping) -> Vec<IpAddr> {
        match mapping.host_ip {
            Some(address) => vec![address],
            None if self.ipv6 => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
            None => vec![Ipv4Addr::UNSPECIFIED.into()],
        }
    }

    /// The same port at all addresses of a mapping: the one that is asked for, the first of several
    /// that is free, or any.
    fn reserve_one(
        self,
        mapping: &PortMapping,
    ) -> Result<(u16, Vec<(OwnedFd, IpAddr)>), NetworkError> {
        let addresses = self.addresses(mapping);
        let protocol = mapping.protocol;
        match &mapping.host_ports {
            None => any(&addresses, protocol),
            Some(ports) if ports.start() == ports.end() => {
                Ok((*ports.start(), take(&addresses, *ports.start(), protocol)?))
            }
            Some(ports) => {
                for port in ports.clone() {
                    match take(&addresses, port, protocol) {
                        Err(NetworkError::PortTaken { .. }) => {}
                        sockets => return Ok((port, sockets?)),
                    }
                }
                let (first, last) = (*ports.start(), *ports.end());
                Err(NetworkError::PortsExhausted { first, last, protocol })
            }
        }
    }
}

/// How often a port is asked for that is free at one address, until it is free at the others, too.
const ATTEMPTS: usize = 64;

/// Any port that is free at all the addresses.
fn any(
    addresses: &[IpAddr],
    protocol: Protocol,
) -> Result<(u16, Vec<(OwnedFd, IpAddr)>), NetworkError> {
    let Some((first, others)) = addresses.split_first() else { return Ok((0, Vec::new())) };
    let mut result = take(&[*first], 0, protocol);
    for _ in 0..ATTEMPTS {
        let mut sockets = result?;
        let port = sockets.first().map(|(socket, _)| port_of(socket)).transpose();
        let port = port.map_err(|error| refused(SocketAddr::new(*first, 0), protocol, error))?;
        let port = port.unwrap_or_default();
        match take(others, port, protocol) {
            Err(NetworkError::PortTaken { .. }) => result = take(&[*first], 0, protocol),
            more => {
                sockets.extend(more?);
                return Ok((port, sockets));
            }
        }
    }
    Err(NetworkError::PortsExhausted { first: 0, last: u16::MAX, protocol })
}

/// One port at all the addresses.
fn take(
    addresses: &[IpAddr],
    port: u16,
    protocol: Protocol,
) -> Result<Vec<(OwnedFd, IpAddr)>, NetworkError> {
    let bound = |address: &IpAddr| {
        let address = SocketAddr::new(*address, port);
        let socket = bound(address, protocol);
        Ok((socket.map_err(|error| refused(address, protocol, error))?, address.ip()))
    };
    addresses.iter().map(bound).collect()
}

fn refused(address: SocketAddr, protocol: Protocol, error: Errno) -> NetworkError {
    match error {
        Errno::ADDRINUSE => NetworkError::PortTaken { address, protocol },
        Errno::ADDRNOTAVAIL => NetworkError::AddressUnknown { address, protocol },
        error => NetworkError::System {
            doing: format!("cannot take port {address}/{protocol} of the host"),
            source: io::Error::from(error),
        },
    }
}

/// A socket that is bound to an address.
fn bound(address: SocketAddr, protocol: Protocol) -> Result<OwnedFd, Errno> {
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, Some(number))?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)?;
    Ok(socket)
}

/// Takes ports again whose sockets went with the process that had them, as far as nobody else has them.
pub(super) fn again(ports: &[PublishedPort]) -> Vec<OwnedFd> {
    let bound = |port: &PublishedPort| {
        bound(SocketAddr::new(port.host_ip, port.host_port), port.container.protocol).ok()
    };
    ports.iter().filter_map(bound).collect()
}

fn port_of(socket: &OwnedFd) -> Result<u16, Errno> {
    Ok(SocketAddr::try_from(getsockname(socket)?).map_or(0, |address| address.port()))
}

/// The mappings of ports that are published because the container says it listens on them: each at
/// any port of the host, unless it is published already.
pub(super) fn publish_exposed(exposed: &[Port], mappings: &[PortMapping]) -> Vec<PortMapping> {
    let is_published = |port: &Port| mappings.iter().any(|mapping| mapping.port() == *port);
    let mapping = |port: &Port| PortMapping {
        host_ip: None,
        host_ports: None,
        container_port: port.number,
        protocol: port.protocol,
    };
    exposed.iter().filter(|port| !is_published(port)).map(mapping).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    fn mapping(text: &str) -> Vec<PortMapping> {
        PortMapping::parse(text).unwrap()
    }

    const HOST: Host = Host { ipv6: true };

    #[test]
    fn a_port_is_held_as_long_as_its_socket() {
        let reserved = HOST.reserve(&mapping("127.0.0.1::80")).unwrap();
        let port = reserved.ports[0].host_port;
        let again = mapping(&format!("127.0.0.1:{port}:80"));
        assert!(matches!(HOST.reserve(&again), Err(NetworkError::PortTaken { .. })));
        assert!(TcpListener::bind(("127.0.0.1", port)).is_err());
        drop(reserved);
        assert_eq!(HOST.reserve(&again).unwrap().ports[0].host_port, port);
    }

    #[test]
    fn what_a_program_of_the_host_has_is_not_taken() {
        let program = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = program.local_addr().unwrap().port();
        let error = HOST.reserve(&mapping(&format!("{port}:53/udp"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("failed to bind host port 0.0.0.0:{port}/udp: address already in use")
        );
        // The other protocol has ports of its own.
        let program = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = program.local_addr().unwrap().port();
        assert!(HOST.reserve(&mapping(&format!("127.0.0.1:{port}:80/tcp"))).is_err());
    }

    #[test]
    fn all_addresses_get_the_same_port() {
        let reserved = HOST.reserve(&mapping("80")).unwrap();
        let [ipv4, ipv6] = reserved.ports[..] else { panic!("{:?}", reserved.ports) };
        assert_eq!(ipv4.host_port, ipv6.host_port);
        assert_ne!(ipv4.host_port, 0);
        assert!(ipv4.host_ip.is_ipv4() && ipv6.host_ip.is_ipv6());
    }

    #[test]
    fn the_first_free_port_of_a_range_is_taken() {
        let base = HOST.reserve(&mapping("127.0.0.1::80")).unwrap().ports[0].host_port;
        let (first, last) = (base.min(65000), base.min(65000) + 2);
        let range = mapping(&format!("127.0.0.1:{first}-{last}:80"));
        let taken: Vec<_> = (0..3).map_while(|_| HOST.reserve(&range).ok()).collect();
        let ports: std::collections::HashSet<_> =
            taken.iter().map(|reserved| reserved.ports[0].host_port).collect();
        assert_eq!(ports.len(), taken.len());
        assert!(ports.iter().all(|port| (first..=last).contains(port)));
        assert!(matches!(HOST.reserve(&range), Err(NetworkError::PortsExhausted { .. })));
    }

    #[test]
    fn an_address_that_is_not_the_hosts_is_told_of() {
        let error = HOST.reserve(&mapping("192.0.2.77:8080:80")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to bind host port 192.0.2.77:8080/tcp: cannot assign requested address"
        );
    }

    #[test]
    fn exposed_ports_are_published_once() {
        let exposed: Vec<Port> = ["80/tcp", "53/udp"].map(|text| text.parse().unwrap()).into();
        let more = publish_exposed(&exposed, &mapping("8080:80"));
        assert_eq!(more, mapping("53/udp"));
    }
}
