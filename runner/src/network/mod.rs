//! Networks: the bridge that containers have in common, their addresses, published ports, and the
//! files that tell a container of them.
//!
//! What is asked of the kernel is asked by netlink, and nothing that it takes long for is on the way of
//! a start: the link of a container is made with its end in the new namespace, and goes with the
//! namespace when nobody has that any more. What a container has is in files, so that whoever comes
//! after a crash can give it back:
//!
//! ```text
//! <data>/network/bridge.json       the subnets that were chosen
//! <run>/network/lock               held by who makes the bridge
//! <run>/network/addresses/         leases, see [`addresses`]
//! <run>/network/endpoints/<id>     the settings of a container that is connected
//! ```

mod addresses;
mod bridge;
mod conntrack;
mod endpoint;
mod error;
pub mod files;
mod firewall;
mod link;
mod mode;
mod namespace;
mod netlink;
mod networks;
mod ports;
mod records;
mod relay;
mod reserve;
mod settings;
mod subnet;

pub use endpoint::{
    Attach, Endpoint, EndpointAddresses, EndpointSettings, MacAddress, NetworkEndpoint,
    NetworkSettings, PortBinding, PublishedPort,
};
pub use error::NetworkError;
pub use mode::NetworkMode;
pub use networks::{Networks, remove_rules};
pub use ports::{Port, PortMapping, Protocol};
pub use relay::Relay;
