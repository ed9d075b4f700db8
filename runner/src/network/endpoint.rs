//! A container's place in a network.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use super::{NetworkMode, Port, PortMapping};

/// What a container asks for.
#[derive(Clone, Copy, Debug)]
pub struct Attach<'a> {
    /// Its id.
    pub container: &'a str,
    /// Where it is to be connected.
    pub mode: &'a NetworkMode,
    /// A process of the container that [`NetworkMode::Container`] names: its network is joined.
    pub joined: Option<u32>,
    /// The ports that are published.
    pub ports: &'a [PortMapping],
    /// The ports that it says it listens on.
    pub exposed: &'a [Port],
    /// Whether those are published, too, each at any port that is free (`-P`).
    pub publish_all: bool,
}

/// A container's connection, for as long as it is kept: its namespace goes with the last that has a
/// descriptor of it or lives in it, its ports are free when this is dropped.
#[derive(Debug)]
pub struct Endpoint {
    /// The network namespace.
    pub namespace: OwnedFd,
    /// What the container got.
    pub settings: EndpointSettings,
    /// What people should know although it works.
    pub warnings: Vec<String>,
    /// Sockets on the ports of the host, so that nobody else gets them.
    pub(super) reservations: Vec<OwnedFd>,
}

/// What a container has got of its network.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "snake_case")]
pub struct EndpointSettings {
    /// The network: `bridge`, `host` or `none`; nothing for that of another container.
    pub network: String,
    /// Its address,
    pub ipv4: Option<Ipv4Addr>,
    /// how many bits of it name the network,
    pub ipv4_prefix: u8,
    /// and by whom the world is reached.
    pub gateway: Option<Ipv4Addr>,
    /// Its address, where the host has IPv6,
    pub ipv6: Option<Ipv6Addr>,
    /// how many bits of it name the network,
    pub ipv6_prefix: u8,
    /// and by whom the world is reached.
    pub ipv6_gateway: Option<Ipv6Addr>,
    /// The address of its interface.
    pub mac: Option<MacAddress>,
    /// Which ports of it are reached at which of the host's.
    pub ports: Vec<PublishedPort>,
    /// The ports that it says it listens on, published or not.
    pub exposed: Vec<Port>,
}

impl EndpointSettings {
    /// Its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.ipv4.map(IpAddr::V4).into_iter().chain(self.ipv6.map(IpAddr::V6))
    }
}

/// A port of a container as it is reached at the host.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PublishedPort {
    /// The port in the container.
    pub container: Port,
    /// The address of the host; the unspecified one for all of its family.
    pub host_ip: IpAddr,
    /// The port of the host.
    pub host_port: u16,
}

impl PublishedPort {
    /// Whether both are the same port of the host.
    pub(super) fn meets(&self, other: &Self) -> bool {
        (self.host_ip, self.host_port, self.container.protocol)
            == (other.host_ip, other.host_port, other.container.protocol)
    }
}

/// The address of an interface.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// The one that goes with an address, so that who gets an address again has the same.
    #[must_use]
    pub fn of(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x42, a, b, c, d])
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl TryFrom<String> for MacAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let invalid = || format!("{text} is no address of an interface");
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(invalid)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| invalid())?;
        }
        if parts.next().is_some() { Err(invalid()) } else { Ok(Self(bytes)) }
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> Self {
        address.to_string()
    }
}

/// What `inspect` shows as `NetworkSettings`, in the Engine API's shape.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)] // The Engine API's documentation has the words.
pub struct NetworkSettings {
    pub bridge: String,
    #[serde(rename = "SandboxID")]
    pub sandbox_id: String,
    pub sandbox_key: String,
    /// Exposed ports that are not published have no bindings.
    pub ports: BTreeMap<Port, Option<Vec<PortBinding>>>,
    #[serde(flatten)]
    pub endpoint: EndpointAddresses,
    pub networks: BTreeMap<String, NetworkEndpoint>,
}

/// Where at the host a port is reached.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PortBinding {
    /// The address, or nothing for all.
    pub host_ip: String,
    /// The port, in digits.
    pub host_port: String,
}

/// One network of a container.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct NetworkEndpoint {
    #[serde(rename = "IPAMConfig")]
    pub ipam_config: Option<serde_json::Value>,
    pub links: Option<Vec<String>>,
    pub aliases: Option<Vec<String>>,
    pub driver_opts: Option<BTreeMap<String, String>>,
    pub gw_priority: i64,
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    #[serde(flatten)]
    pub endpoint: EndpointAddresses,
    #[serde(rename = "DNSNames")]
    pub dns_names: Option<Vec<String>>,
}

/// What the whole of the settings and each network of it have both.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct EndpointAddresses {
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    #[serde(rename = "Gateway")]
    pub gateway: String,
    #[serde(rename = "GlobalIPv6Address")]
    pub global_ipv6_address: String,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    pub global_ipv6_prefix_len: u8,
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
    #[serde(rename = "IPPrefixLen")]
    pub ip_prefix_len: u8,
    #[serde(rename = "IPv6Gateway")]
    pub ipv6_gateway: String,
    #[serde(rename = "MacAddress")]
    pub mac_address: String,
}

impl EndpointSettings {
    /// These settings as `inspect` shows them. A container that does not run has none, and gets
    /// those of `EndpointSettings::default()` with its network's name.
    #[must_use]
    pub fn to_network_settings(&self) -> NetworkSettings {
        fn text(value: Option<impl ToString>) -> String {
            value.map(|value| value.to_string()).unwrap_or_default()
        }
        let endpoint = EndpointAddresses {
            endpoint_id: String::new(),
            gateway: text(self.gateway),
            global_ipv6_address: text(self.ipv6),
            global_ipv6_prefix_len: self.ipv6_prefix,
            ip_address: text(self.ipv4),
            ip_prefix_len: self.ipv4_prefix,
            ipv6_gateway: text(self.ipv6_gateway),
            mac_address: text(self.mac),
        };
        let mut ports: BTreeMap<Port, Option<Vec<PortBinding>>> =
            self.exposed.iter().map(|port| (*port, None)).collect();
        for published in &self.ports {
            ports.entry(published.container).or_default().get_or_insert_default().push(
                PortBinding {
                    host_ip: published.host_ip.to_string(),
                    host_port: published.host_port.to_string(),
                },
            );
        }
        let network = NetworkEndpoint { endpoint: endpoint.clone(), ..NetworkEndpoint::default() };
        let networks = match self.network.parse() {
            Err(_) | Ok(NetworkMode::Container(_)) => BTreeMap::new(),
            Ok(_) if self.network.is_empty() => BTreeMap::new(),
            Ok(mode) => BTreeMap::from([(mode.to_string(), network)]),
        };
        NetworkSettings { ports, endpoint, networks, ..NetworkSettings::default() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings() -> EndpointSettings {
        EndpointSettings {
            network: "bridge".into(),
            ipv4: Some(Ipv4Addr::new(172, 29, 0, 2)),
            ipv4_prefix: 16,
            gateway: Some(Ipv4Addr::new(172, 29, 0, 1)),
            mac: Some(MacAddress::of(Ipv4Addr::new(172, 29, 0, 2))),
            ports: vec![
                PublishedPort {
                    container: "80/tcp".parse().unwrap(),
                    host_ip: Ipv4Addr::UNSPECIFIED.into(),
                    host_port: 8080,
                },
                PublishedPort {
                    container: "80/tcp".parse().unwrap(),
                    host_ip: Ipv6Addr::UNSPECIFIED.into(),
                    host_port: 8080,
                },
            ],
            exposed: vec!["80/tcp".parse().unwrap(), "53/udp".parse().unwrap()],
            ..EndpointSettings::default()
        }
    }

    #[test]
    fn inspect_shows_what_docker_shows() {
        let shown = serde_json::to_value(settings().to_network_settings()).unwrap();
        assert_eq!(
            shown["Ports"],
            json!({
                "53/udp": null,
                "80/tcp": [
                    {"HostIp": "0.0.0.0", "HostPort": "8080"},
                    {"HostIp": "::", "HostPort": "8080"},
                ],
            })
        );
        for part in [&shown, &shown["Networks"]["bridge"]] {
            assert_eq!(part["IPAddress"], "172.29.0.2");
            assert_eq!(part["IPPrefixLen"], 16);
            assert_eq!(part["Gateway"], "172.29.0.1");
            assert_eq!(part["GlobalIPv6Address"], "");
            assert_eq!(part["MacAddress"], "02:42:ac:1d:00:02");
        }
    }

    #[test]
    fn a_network_is_shown_by_its_own_name() {
        let networks = |network: &str| {
            let settings = EndpointSettings { network: network.into(), ..Default::default() };
            settings.to_network_settings().networks.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(networks("default"), ["bridge"]);
        assert_eq!(networks("host"), ["host"]);
        assert_eq!(networks("container:web"), [""; 0]);
        assert_eq!(networks(""), [""; 0]);
    }

    #[test]
    fn settings_are_read_as_they_were_written() {
        let text = serde_json::to_string(&settings()).unwrap();
        assert_eq!(serde_json::from_str::<EndpointSettings>(&text).unwrap(), settings());
    }
}
