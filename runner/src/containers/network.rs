//! What a container and its network tell each other.

use std::fs;
use std::path::Path;

use super::engine::Engine;
use super::error::{ContainerError, Doing as _};
use super::record::Record;
use crate::network::{Endpoint, NetworkMode, Port, PortMapping, files};

impl Engine {
    /// The ports that are published, and those that it says it listens on.
    pub(super) fn ports(
        &self,
        record: &Record,
    ) -> Result<(Vec<PortMapping>, Vec<Port>), ContainerError> {
        let mut published = Vec::new();
        for (port, bindings) in &record.host_config.port_bindings {
            let port: Port = port.parse()?;
            for binding in bindings.iter().flatten() {
                published.push(PortMapping::from_binding(
                    port,
                    &binding.host_ip,
                    &binding.host_port,
                )?);
            }
        }
        let exposed: Result<Vec<Port>, _> =
            record.config.exposed_ports.keys().map(|port| port.parse()).collect();
        Ok((published, exposed?))
    }

    /// Writes the files by which a container knows names.
    pub(super) fn write_network_files(
        &self,
        record: &Record,
        run: &Path,
        mode: &NetworkMode,
        endpoint: Option<&Endpoint>,
    ) -> Result<(), ContainerError> {
        let (config, host) = (&record.config, &record.host_config);
        let extra: Result<Vec<files::ExtraHost>, _> =
            host.extra_hosts.iter().map(|line| line.parse()).collect();
        let extra = extra?;
        let settings = endpoint.map(|endpoint| endpoint.settings.clone()).unwrap_or_default();
        let hosts = match mode {
            NetworkMode::Host => files::host_hosts(&extra),
            _ => files::hosts(&config.hostname, &config.domainname, &settings, &extra)?,
        };
        let resolver = files::ResolverOptions {
            servers: &host.dns,
            search: &host.dns_search,
            options: &host.dns_options,
            reaches_loopback: *mode == NetworkMode::Host,
            ipv6: settings.ipv6.is_some(),
        };
        for (name, text) in [
            ("hosts", hosts),
            ("hostname", files::hostname(&config.hostname)),
            ("resolv.conf", files::resolv_conf(&resolver)),
        ] {
            let path = run.join(name);
            fs::write(&path, text).doing(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }
}
