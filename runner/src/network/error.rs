//! What goes wrong with networks, by what a person can do about it.

use std::io;
use std::net::SocketAddr;

use super::Protocol;

/// Why a container is not connected, or an option of its network means nothing.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// `container:` without a container.
    #[error("invalid network mode: invalid container format container:<name|id>")]
    ContainerMode,
    /// A network that is not there, as none can be made yet.
    #[error(
        "network {0} not found: berth has bridge, host, none and container:<name|id>, \
         and no networks that are made by name yet"
    )]
    NotFound(String),
    /// An option cannot be read. The words are docker's.
    #[error("{0}")]
    Invalid(String),
    /// The configuration file says something of the network that cannot be.
    #[error("{path}: {reason}")]
    Settings {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process of the host has the port, or another container.
    #[error("failed to bind host port {address}/{protocol}: address already in use")]
    PortTaken {
        /// Where it was to be published.
        address: SocketAddr,
        /// And of which protocol.
        protocol: Protocol,
    },
    /// Another container has the port.
    #[error("Bind for {address} failed: port is already allocated")]
    PortAllocated {
        /// Where it was to be published.
        address: SocketAddr,
    },
    /// Another container is recorded to have the port, and nobody holds it: whoever did was killed.
    #[error("Bind for {address} failed: port is already allocated to container {container}")]
    PortHeld {
        /// Where it was to be published.
        address: SocketAddr,
        /// Who has it, if it runs.
        container: String,
    },
    /// The address to publish at is none of the host's.
    #[error("failed to bind host port {address}/{protocol}: cannot assign requested address")]
    AddressUnknown {
        /// Where it was to be published.
        address: SocketAddr,
        /// And of which protocol.
        protocol: Protocol,
    },
    /// All ports of a range are taken.
    #[error("all ports of the range {first}-{last}/{protocol} are allocated")]
    PortsExhausted {
        /// The first of them,
        first: u16,
        /// the last of them,
        last: u16,
        /// and of which protocol.
        protocol: Protocol,
    },
    /// Every address of the subnet has a container.
    #[error(
        "no available IPv4 addresses on the bridge {bridge}: all of {subnet} are taken; \
         stop containers, or give the bridge a larger subnet"
    )]
    AddressesExhausted {
        /// The bridge,
        bridge: String,
        /// and what it hands out.
        subnet: String,
    },
    /// Every subnet that could be chosen is used by the host.
    #[error(
        "no subnet is free for the bridge {0}: the host has routes into all that are tried; \
         name one by network.subnet in /etc/berth/engine.yml"
    )]
    SubnetsExhausted(String),
    /// The kernel has no nf_tables, or not what is needed of it.
    #[error(
        "the firewall cannot be set up: {0}; containers on the bridge need a kernel with nf_tables \
         and its nat, masquerade and fib expressions: use --network host or --network none"
    )]
    Firewall(#[source] io::Error),
    /// The kernel refused.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// Its answer.
        source: io::Error,
    },
}

/// Says what was being done when the kernel refused.
pub(super) trait Doing<T> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, NetworkError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, NetworkError> {
        self.map_err(|error| NetworkError::System { doing: what().into(), source: error.into() })
    }
}
