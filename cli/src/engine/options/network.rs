//! Which network a container is connected to, and what it knows of it.

use std::net::IpAddr;

use anyhow::{Result, bail};
use berth_runner::network::files::{ExtraHost, parse_dns};
use berth_runner::network::{NetworkMode, Port, PortMapping};
use berth_runner::spec::{ContainerConfig, Empty, HostConfig, PortBinding};
use clap::Args;

/// Options of the network.
#[derive(Args, Debug)]
pub(super) struct NetworkOptions {
    /// Connect a container to a network
    #[arg(long, alias = "net", value_name = "NETWORK", value_parser = network)]
    network: Vec<NetworkMode>,
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
    add_host: Vec<ExtraHost>,
    /// Set custom DNS servers
    #[arg(long, value_name = "ADDRESS", value_parser = parse_dns)]
    dns: Vec<IpAddr>,
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

/// A network by its name, or in docker's longer form `name=NETWORK`.
fn network(text: &str) -> Result<NetworkMode> {
    if !text.contains('=') {
        return Ok(text.parse()?);
    }
    let mut name = "";
    for field in text.split(',') {
        match field.split_once('=') {
            Some(("name", value)) => name = value,
            Some((
                key @ ("alias" | "driver-opt" | "gw-priority" | "ip" | "ip6" | "link-local-ip"
                | "mac-address"),
                _,
            )) => bail!("{key} is not supported yet"),
            Some((key, _)) => bail!("invalid field key {key}"),
            None => bail!("invalid field {field}"),
        }
    }
    if name.is_empty() {
        bail!("network name/id is not specified");
    }
    Ok(name.parse()?)
}

impl NetworkOptions {
    /// Whoever has the network of another has its names and ports as well.
    fn check_shared(&self, config: &ContainerConfig) -> Result<()> {
        for (is_there, what) in [
            (!config.hostname.is_empty(), "hostname and the network mode"),
            (!self.dns.is_empty(), "dns and the network mode"),
            (!self.add_host.is_empty(), "custom host-to-IP mapping and the network mode"),
            (
                !self.publish.is_empty() || self.publish_all,
                "port publishing and the container type network mode",
            ),
            (!self.expose.is_empty(), "port exposing and the container type network mode"),
        ] {
            if is_there {
                bail!("conflicting options: {what}");
            }
        }
        Ok(())
    }

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
        host.network_mode = match self.network.as_slice() {
            [] => String::new(),
            [network] => network.to_string(),
            [first, others @ ..] if others.contains(first) => {
                bail!("network \"{first}\" is specified multiple times")
            }
            _ => bail!("a container is connected to one network only, for now"),
        };
        if let [NetworkMode::Container(_)] = self.network.as_slice() {
            self.check_shared(config)?;
        }
        host.publish_all_ports = self.publish_all;
        for text in self.publish {
            for mapping in PortMapping::parse(&text)? {
                let port = mapping.port().to_string();
                config.exposed_ports.insert(port.clone(), Empty {});
                host.port_bindings.entry(port).or_default().get_or_insert_default().push(
                    PortBinding {
                        host_ip: mapping.binding_host_ip(),
                        host_port: mapping.binding_host_port(),
                    },
                );
            }
        }
        for text in self.expose {
            let ports = Port::parse_exposed(&text)?;
            config.exposed_ports.extend(ports.iter().map(|port| (port.to_string(), Empty {})));
        }
        host.extra_hosts = self.add_host.iter().map(ToString::to_string).collect();
        host.dns = self.dns.iter().map(ToString::to_string).collect();
        host.dns_options = self.dns_option;
        host.dns_search = self.dns_search;
        Ok(())
    }
}
