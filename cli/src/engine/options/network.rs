//! Which network a container is connected to, and what it knows of it.

use anyhow::{Result, bail};
use berth_runner::spec::{ContainerConfig, HostConfig};
use clap::Args;

/// Options of the network.
#[derive(Args, Debug)]
pub(super) struct NetworkOptions {
    /// Connect a container to a network
    #[arg(long, alias = "net", value_name = "NETWORK")]
    network: Vec<String>,
    /// Publish a container's port(s) to the host
    #[arg(long, short, value_name = "[[ADDRESS:]PORT:]PORT[/PROTOCOL]")]
    publish: Vec<String>,
    /// Publish all exposed ports to random ports
    #[arg(long, short = 'P')]
    publish_all: bool,
    /// Expose a port or a range of ports
    #[arg(long, value_name = "PORT[/PROTOCOL]")]
    expose: Vec<String>,
    /// Add a custom host-to-IP mapping (host:ip)
    #[arg(long, value_name = "NAME:ADDRESS")]
    add_host: Vec<String>,
    /// Set custom DNS servers
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    dns: Vec<String>,
    /// Set DNS options
    #[arg(long, alias = "dns-opt", value_name = "OPTION")]
    dns_option: Vec<String>,
    /// Set custom DNS search domains
    #[arg(long, value_name = "DOMAIN")]
    dns_search: Vec<String>,
    /// IPv4 address (e.g., 172.30.100.104)
    #[arg(long, hide = true)]
    ip: Option<String>,
    /// IPv6 address (e.g., 2001:db8::33)
    #[arg(long, hide = true)]
    ip6: Option<String>,
    /// Container MAC address (e.g., 92:d0:c6:0a:29:33)
    #[arg(long, hide = true)]
    mac_address: Option<String>,
    /// Add link to another container
    #[arg(long, hide = true)]
    link: Vec<String>,
    /// Add network-scoped alias for the container
    #[arg(long, alias = "net-alias", hide = true)]
    network_alias: Vec<String>,
}

fn address(text: &str) -> Result<String, String> {
    match text.trim().parse::<std::net::IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(format!("IP address is not correctly formatted: {text}")),
    }
}

impl NetworkOptions {
    pub(super) fn apply(self, config: &mut ContainerConfig, host: &mut HostConfig) -> Result<()> {
        for (is_there, option) in [
            (self.ip.is_some(), "--ip"),
            (self.ip6.is_some(), "--ip6"),
            (self.mac_address.is_some(), "--mac-address"),
            (!self.link.is_empty(), "--link"),
            (!self.network_alias.is_empty(), "--network-alias"),
        ] {
            if is_there {
                bail!("{option} is not supported yet");
            }
        }
        let _ = config;
        host.network_mode = match self.network.as_slice() {
            [] => String::new(),
            [network] => network.clone(),
            [first, others @ ..] if others.contains(first) => {
                bail!("network {first:?} is specified multiple times")
            }
            _ => bail!("a container is connected to one network only, for now"),
        };
        host.publish_all_ports = self.publish_all;
        host.extra_hosts = self.add_host;
        host.dns = self.dns;
        host.dns_options = self.dns_option;
        host.dns_search = self.dns_search;
        Ok(())
    }
}
