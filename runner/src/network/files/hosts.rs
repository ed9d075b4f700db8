//! `/etc/hosts`, and `--add-host`.

use std::fmt;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use crate::network::{EndpointSettings, NetworkError};

/// A line that `--add-host` asks for: `NAME:ADDRESS` or `NAME=ADDRESS`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExtraHost {
    /// The name,
    pub name: String,
    /// and what it stands for.
    pub address: HostAddress,
}

/// What a name of [`ExtraHost`] stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HostAddress {
    /// An address.
    Ip(IpAddr),
    /// The host, as the container sees it.
    Gateway,
}

impl FromStr for ExtraHost {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let bad = || NetworkError::Invalid(format!("bad format for add-host: {text:?}"));
        let (name, address) =
            text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(bad)?;
        let is_name = |c: char| !c.is_whitespace() && !c.is_control() && c != ':' && c != '#';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(bad());
        }
        let address = match address {
            "host-gateway" => HostAddress::Gateway,
            _ => {
                let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
                HostAddress::Ip(bare.unwrap_or(address).parse().map_err(|_| {
                    NetworkError::Invalid(format!("invalid IP address in add-host: {address:?}"))
                })?)
            }
        };
        Ok(Self { name: name.to_owned(), address })
    }
}

/// As the Engine API has it in `ExtraHosts`.
impl fmt::Display for ExtraHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            HostAddress::Ip(address) => write!(formatter, "{}:{address}", self.name),
            HostAddress::Gateway => write!(formatter, "{}:host-gateway", self.name),
        }
    }
}

/// The `/etc/hosts` of a container with a network of its own.
///
/// # Errors
///
/// When `host-gateway` is asked for, and there is no way to the host.
pub fn hosts(
    hostname: &str,
    domain: &str,
    settings: &EndpointSettings,
    extra: &[ExtraHost],
) -> Result<String, NetworkError> {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::\tip6-localnet\n\
         ff00::\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\n\
         ff02::2\tip6-allrouters\n",
    );
    add(&mut text, settings, extra)?;
    let names = match (domain, hostname.split_once('.')) {
        ("", None) => hostname.to_owned(),
        ("", Some((short, _))) => format!("{hostname} {short}"),
        (domain, _) => format!("{hostname}.{domain} {hostname}"),
    };
    for address in settings.addresses() {
        let _ = writeln!(text, "{address}\t{names}");
    }
    Ok(text)
}

/// The `/etc/hosts` of a container in the host's network: the host's own, and what is added. `host-gateway` is the
/// loopback there.
pub fn host_hosts(extra: &[ExtraHost]) -> String {
    let mut text = fs::read_to_string("/etc/hosts")
        .unwrap_or_else(|_| "127.0.0.1\tlocalhost\n::1\tlocalhost\n".to_owned());
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let host =
        EndpointSettings { gateway: Some(Ipv4Addr::LOCALHOST), ..EndpointSettings::default() };
    // There is a gateway, so nothing is missing.
    let _ = add(&mut text, &host, extra);
    text
}

fn add(
    text: &mut String,
    settings: &EndpointSettings,
    extra: &[ExtraHost],
) -> Result<(), NetworkError> {
    for host in extra {
        match host.address {
            HostAddress::Ip(address) => {
                let _ = writeln!(text, "{address}\t{}", host.name);
            }
            HostAddress::Gateway => {
                let gateways = settings.gateway.map(IpAddr::V4).into_iter();
                let gateways = gateways.chain(settings.ipv6_gateway.map(IpAddr::V6));
                let before = text.len();
                for gateway in gateways {
                    let _ = writeln!(text, "{gateway}\t{}", host.name);
                }
                if text.len() == before {
                    return Err(NetworkError::Invalid(format!(
                        "unable to derive the IP value for host-gateway ({}): \
                         this network has no way to the host",
                        host.name
                    )));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridged() -> EndpointSettings {
        EndpointSettings {
            network: "bridge".into(),
            ipv4: Some(Ipv4Addr::new(172, 29, 0, 2)),
            gateway: Some(Ipv4Addr::new(172, 29, 0, 1)),
            ..EndpointSettings::default()
        }
    }

    fn extra(texts: &[&str]) -> Vec<ExtraHost> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn names_are_added_beside_the_containers_own() {
        let extra = extra(&["server1:123.45.67.89", "six=[2001:db8::1]", "host:host-gateway"]);
        let text = hosts("web", "example.com", &bridged(), &extra).unwrap();
        for line in [
            "127.0.0.1\tlocalhost",
            "123.45.67.89\tserver1",
            "2001:db8::1\tsix",
            "172.29.0.1\thost",
            "172.29.0.2\tweb.example.com web",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in:\n{text}");
        }
    }

    #[test]
    fn a_container_without_a_way_to_the_host_has_no_gateway() {
        let alone = EndpointSettings { network: "none".into(), ..EndpointSettings::default() };
        assert!(hosts("web", "", &alone, &extra(&["host:host-gateway"])).is_err());
        assert!(!hosts("web", "", &alone, &[]).unwrap().contains("web"));
    }

    #[test]
    fn whoever_is_at_the_host_reaches_it_by_its_loopback() {
        let text = host_hosts(&extra(&["gateway:host-gateway"]));
        assert!(text.ends_with("127.0.0.1\tgateway\n"), "{text}");
    }

    #[test]
    fn a_line_that_means_nothing_is_refused_in_dockers_words() {
        let refused = |text: &str| text.parse::<ExtraHost>().unwrap_err().to_string();
        assert_eq!(refused("server"), "bad format for add-host: \"server\"");
        assert_eq!(refused(":1.2.3.4"), "bad format for add-host: \":1.2.3.4\"");
        assert_eq!(refused("a\tb:1.2.3.4"), "bad format for add-host: \"a\\tb:1.2.3.4\"");
        assert_eq!(refused("server:1.2.3"), "invalid IP address in add-host: \"1.2.3\"");
        assert_eq!(extra(&["six:::1"])[0].to_string(), "six:::1");
    }
}
