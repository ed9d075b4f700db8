//! A host with an engine on it, and the world beyond.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use berth_runner::Roots;
use berth_runner::network::{
    Attach, Endpoint, NetworkError, NetworkMode, Networks, Port, PortMapping,
};
use tempfile::TempDir;

use super::place::Place;

/// Where the world reaches the host, and the host the world.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
pub(crate) const WORLD: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
pub(crate) const HOST_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
pub(crate) const WORLD_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// The folders of an engine, in which no test meets another.
pub(crate) struct Host {
    pub(crate) place: Place,
    pub(crate) world: Place,
    pub(crate) networks: Networks,
    folder: TempDir,
}

/// A container that is connected: nothing runs in it but what the tests put there.
pub(crate) struct Container {
    pub(crate) place: Place,
    pub(crate) endpoint: Endpoint,
}

impl Host {
    pub(crate) fn new() -> Self {
        let (place, world) = (Place::new(), Place::new());
        let namespace = format!("/proc/self/fd/{}", world.descriptor().as_raw_fd());
        // `ip` opens it by the number that this process has it by.
        let namespace = namespace.replace("self", &std::process::id().to_string());
        place.ip(&format!("link add up0 type veth peer name up0 netns {namespace}"));
        for (place, ipv4, ipv6) in [(&place, HOST, HOST_IPV6), (&world, WORLD, WORLD_IPV6)] {
            place.ip(&format!("addr add {ipv4}/24 dev up0"));
            place.ip(&format!("addr add {ipv6}/64 dev up0 nodad"));
            place.ip("link set up0 up");
        }
        let folder = tempfile::tempdir().unwrap();
        let networks = open(folder.path());
        Self { place, world, networks, folder }
    }

    /// The same engine as another process has it.
    pub(crate) fn networks_again(&self) -> Networks {
        open(self.folder())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn container(&self, id: &str, ports: &[&str]) -> Container {
        self.try_container(id, ports, &[]).unwrap()
    }

    pub(crate) fn try_container(
        &self,
        id: &str,
        ports: &[&str],
        exposed: &[&str],
    ) -> Result<Container, NetworkError> {
        let ports: Vec<PortMapping> =
            ports.iter().flat_map(|port| PortMapping::parse(port).unwrap()).collect();
        let exposed: Vec<Port> = exposed.iter().map(|port| port.parse().unwrap()).collect();
        let request = Attach {
            container: id,
            mode: &NetworkMode::Bridge,
            joined: None,
            ports: &ports,
            exposed: &exposed,
            publish_all: !exposed.is_empty(),
        };
        let endpoint = self.place.run(|| self.networks.attach(&request))?;
        Ok(Container { place: Place::of(&endpoint.namespace), endpoint })
    }

    pub(crate) fn detach(&self, id: &str) {
        self.place.run(|| self.networks.detach(id)).unwrap();
    }
}

/// The networks of the engine in a folder.
pub(crate) fn open(folder: &Path) -> Networks {
    Networks::open(&Roots::new(folder.join("data"), folder.join("run"))).unwrap()
}

impl Container {
    pub(crate) fn ipv4(&self) -> Ipv4Addr {
        self.endpoint.settings.ipv4.unwrap()
    }

    pub(crate) fn ipv6(&self) -> Ipv6Addr {
        self.endpoint.settings.ipv6.unwrap()
    }

    pub(crate) fn gateway(&self) -> Ipv4Addr {
        self.endpoint.settings.gateway.unwrap()
    }

    pub(crate) fn gateway_ipv6(&self) -> Ipv6Addr {
        self.endpoint.settings.ipv6_gateway.unwrap()
    }

    /// The port of the host by which the first that is published is reached.
    pub(crate) fn host_port(&self) -> u16 {
        self.endpoint.settings.ports[0].host_port
    }
}
