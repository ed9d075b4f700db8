//! Ports of containers, and where the host publishes them: the arguments of `-p` and `--expose`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::NetworkError;

/// What is spoken on a port.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP, which is meant where nothing is said.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Its number in IP headers.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl FromStr for Protocol {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(NetworkError::Invalid(format!("invalid proto: {text}"))),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// A port of a container: `80/tcp`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// What is spoken there.
    pub protocol: Protocol,
}

impl Port {
    /// The ports that an argument of `--expose`, or an entry of an image, means: `80`, `80/udp` or
    /// `8000-8010/tcp`.
    ///
    /// # Errors
    ///
    /// In docker's words, what is wrong with it.
    pub fn parse_exposed(text: &str) -> Result<Vec<Self>, NetworkError> {
        let invalid = |reason: &str| {
            NetworkError::Invalid(format!(
                "invalid range format for --expose: {text}, error: {reason}"
            ))
        };
        if text.contains(':') {
            return Err(NetworkError::Invalid(format!("invalid port format for --expose: {text}")));
        }
        let (numbers, protocol) = split_protocol(text);
        let protocol = protocol.parse::<Protocol>()?;
        let numbers = parse_range(numbers).ok_or_else(|| invalid("invalid port"))?;
        Ok(numbers.map(|number| Self { number, protocol }).collect())
    }
}

impl FromStr for Port {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (number, protocol) = split_protocol(text);
        let protocol = protocol.parse()?;
        match parse_number(number) {
            Some(number) => Ok(Self { number, protocol }),
            None => Err(NetworkError::Invalid(format!("invalid port: {text}"))),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.number, self.protocol)
    }
}

impl TryFrom<String> for Port {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Port> for String {
    fn from(port: Port) -> Self {
        port.to_string()
    }
}

/// That a port of a container is to be reached at the host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortMapping {
    /// The address of the host, or all of them.
    pub host_ip: Option<IpAddr>,
    /// The port of the host; of several the first that is free, and where none is named any that is.
    pub host_ports: Option<RangeInclusive<u16>>,
    /// The port in the container,
    pub container_port: u16,
    /// and what is spoken there.
    pub protocol: Protocol,
}

impl PortMapping {
    /// What an argument of `-p` means: `80`, `8080:80`, `127.0.0.1:8080:80/udp`, `[::1]::80`,
    /// `8000-8010:80`, `8000-8010:9000-9010`, or `published=8080,target=80,protocol=tcp`.
    /// A range in the container is a mapping for each of its ports.
    ///
    /// # Errors
    ///
    /// In docker's words, what is wrong with it.
    pub fn parse(text: &str) -> Result<Vec<Self>, NetworkError> {
        if text.contains('=') {
            return Self::parse_short(&join_pairs(text)?);
        }
        Self::parse_short(text)
    }

    fn parse_short(text: &str) -> Result<Vec<Self>, NetworkError> {
        let invalid = |what: &str| NetworkError::Invalid(what.to_owned());
        let (host_ip, host, container) = split_mapping(text);
        let (container, protocol) = split_protocol(container);
        let host_ip = parse_host_ip(host_ip)?;
        if container.is_empty() {
            return Err(invalid(&format!("no port specified: {text}<empty>")));
        }
        let container_ports = parse_range(container)
            .filter(|ports| *ports.start() > 0)
            .ok_or_else(|| invalid(&format!("invalid containerPort: {container}")))?;
        let host_ports = parse_host_ports(host)?;
        let protocol = protocol.parse::<Protocol>()?;
        let mapping =
            |container_port, host_ports| Self { host_ip, host_ports, container_port, protocol };
        match host_ports {
            None => Ok(container_ports.map(|port| mapping(port, None)).collect()),
            Some(host_ports) if container_ports.len() == 1 => {
                Ok(vec![mapping(*container_ports.start(), Some(host_ports))])
            }
            Some(host_ports) if host_ports.len() == container_ports.len() => {
                let pairs = container_ports.zip(host_ports);
                Ok(pairs
                    .map(|(inside, outside)| mapping(inside, Some(outside..=outside)))
                    .collect())
            }
            Some(_) => Err(invalid(&format!(
                "invalid ranges specified for container and host Ports: {container} and {host}"
            ))),
        }
    }

    /// A mapping as the Engine API has it: `HostIp` and `HostPort` of a binding of `port`.
    ///
    /// # Errors
    ///
    /// In docker's words, what is wrong with it.
    pub fn from_binding(port: Port, host_ip: &str, host_port: &str) -> Result<Self, NetworkError> {
        Ok(Self {
            host_ip: parse_host_ip(host_ip)?,
            host_ports: parse_host_ports(host_port)?,
            container_port: port.number,
            protocol: port.protocol,
        })
    }

    /// The port of the container.
    #[must_use]
    pub fn port(&self) -> Port {
        Port { number: self.container_port, protocol: self.protocol }
    }

    /// `HostIp` as the Engine API has it: nothing for all addresses.
    #[must_use]
    pub fn binding_host_ip(&self) -> String {
        self.host_ip.map(|ip| ip.to_string()).unwrap_or_default()
    }

    /// `HostPort` as the Engine API has it: nothing for any port, `8000-8010` for one of several.
    #[must_use]
    pub fn binding_host_port(&self) -> String {
        match &self.host_ports {
            None => String::new(),
            Some(ports) if ports.start() == ports.end() => ports.start().to_string(),
            Some(ports) => format!("{}-{}", ports.start(), ports.end()),
        }
    }
}

/// `published=8080,target=80` as `8080:80/tcp`.
fn join_pairs(text: &str) -> Result<String, NetworkError> {
    let (mut published, mut target, mut protocol) = ("", "", "tcp");
    for pair in text.split(',') {
        match pair.split_once('=') {
            Some(("published", value)) => published = value,
            Some(("target", value)) => target = value,
            Some(("protocol", value)) => protocol = value,
            Some((name, _)) if !name.is_empty() => {}
            _ => {
                return Err(NetworkError::Invalid(format!(
                    "invalid publish opts format (should be name=value but got '{pair}')"
                )));
            }
        }
    }
    Ok(format!("{published}:{target}/{protocol}"))
}

/// Splits an argument of `-p` into address, port of the host, and port of the container.
fn split_mapping(text: &str) -> (&str, &str, &str) {
    let Some((rest, container)) = text.rsplit_once(':') else { return ("", "", text) };
    match rest.rsplit_once(':') {
        Some((host_ip, host)) => (host_ip, host, container),
        None => ("", rest, container),
    }
}

fn split_protocol(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((port, "")) => (port, "tcp"),
        Some(("", _)) | None => (text, "tcp"),
        Some(parts) => parts,
    }
}

fn parse_host_ip(text: &str) -> Result<Option<IpAddr>, NetworkError> {
    let invalid = || NetworkError::Invalid(format!("invalid IP address: {text}"));
    match text.strip_prefix('[') {
        Some(rest) => {
            let inner = rest.strip_suffix(']').ok_or_else(invalid)?;
            Ok(Some(IpAddr::V6(inner.parse::<Ipv6Addr>().map_err(|_| invalid())?)))
        }
        None if text.is_empty() => Ok(None),
        None => text.parse().map(Some).map_err(|_| invalid()),
    }
}

/// Port 0 is any port, however it is written; a range cannot begin there.
fn parse_host_ports(text: &str) -> Result<Option<RangeInclusive<u16>>, NetworkError> {
    if text.is_empty() {
        return Ok(None);
    }
    match parse_range(text).map(RangeInclusive::into_inner) {
        Some((0, 0)) => Ok(None),
        Some((first, last)) if first > 0 => Ok(Some(first..=last)),
        _ => Err(NetworkError::Invalid(format!("invalid hostPort: {text}"))),
    }
}

fn parse_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (parse_number(first)?, parse_number(last)?);
    (first <= last).then_some(first..=last)
}

/// Digits alone: the standard library would take a `+` as well.
fn parse_number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> PortMapping {
        let mut mappings = PortMapping::parse(text).unwrap();
        assert_eq!(mappings.len(), 1, "{text}");
        mappings.remove(0)
    }

    fn refused(text: &str) -> String {
        PortMapping::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_port_is_published_where_it_says() {
        let mapping = |host_ip: Option<&str>, host_ports, container_port, protocol| PortMapping {
            host_ip: host_ip.map(|ip| ip.parse().unwrap()),
            host_ports,
            container_port,
            protocol,
        };
        let (tcp, udp) = (Protocol::Tcp, Protocol::Udp);
        assert_eq!(one("80"), mapping(None, None, 80, tcp));
        assert_eq!(one("8080:80"), mapping(None, Some(8080..=8080), 80, tcp));
        assert_eq!(one("8080:80/UDP"), mapping(None, Some(8080..=8080), 80, udp));
        assert_eq!(one("53:53/sctp").protocol, Protocol::Sctp);
        assert_eq!(one("127.0.0.1::80"), mapping(Some("127.0.0.1"), None, 80, tcp));
        assert_eq!(
            one("127.0.0.1:8080:80/udp"),
            mapping(Some("127.0.0.1"), Some(8080..=8080), 80, udp)
        );
        assert_eq!(one("[::1]:8080:80"), mapping(Some("::1"), Some(8080..=8080), 80, tcp));
        assert_eq!(one("::1:8080:80"), mapping(Some("::1"), Some(8080..=8080), 80, tcp));
        assert_eq!(one("8000-8010:80"), mapping(None, Some(8000..=8010), 80, tcp));
        assert_eq!(one("published=8080,target=80,protocol=udp"), one("8080:80/udp"));
        assert_eq!(one("target=80"), one("80"));
        for any in ["0:80", "00:80", "0-0:80", "127.0.0.1:0:80"] {
            assert_eq!(one(any).host_ports, None, "{any}");
        }
    }

    #[test]
    fn ranges_are_matched_in_pairs() {
        let mappings = PortMapping::parse("8000-8002:9000-9002/udp").unwrap();
        let pairs: Vec<_> = mappings
            .iter()
            .map(|mapping| (mapping.binding_host_port(), mapping.port().to_string()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("8000".to_owned(), "9000/udp".to_owned()),
                ("8001".to_owned(), "9001/udp".to_owned()),
                ("8002".to_owned(), "9002/udp".to_owned()),
            ]
        );
        assert_eq!(PortMapping::parse("9000-9002").unwrap().len(), 3);
    }

    #[test]
    fn what_means_nothing_is_refused_in_dockers_words() {
        assert_eq!(refused(""), "no port specified: <empty>");
        assert_eq!(refused("8080:"), "no port specified: 8080:<empty>");
        assert_eq!(refused("localhost:80:80"), "invalid IP address: localhost");
        assert_eq!(refused("[::1:80:80"), "invalid IP address: [::1");
        assert_eq!(refused("80:http"), "invalid containerPort: http");
        assert_eq!(refused("70000:80"), "invalid hostPort: 70000");
        assert_eq!(refused("+80:80"), "invalid hostPort: +80");
        assert_eq!(refused("90-80:80"), "invalid hostPort: 90-80");
        assert_eq!(refused("0-5:80"), "invalid hostPort: 0-5");
        assert_eq!(refused("80:80/icmp"), "invalid proto: icmp");
        assert_eq!(
            refused("8000-8001:80-82"),
            "invalid ranges specified for container and host Ports: 80-82 and 8000-8001"
        );
        assert_eq!(
            refused("published=80,nothing"),
            "invalid publish opts format (should be name=value but got 'nothing')"
        );
    }

    #[test]
    fn exposed_ports_are_read() {
        let names = |text| {
            let ports = Port::parse_exposed(text).unwrap();
            ports.iter().map(Port::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names("80"), ["80/tcp"]);
        assert_eq!(names("53/udp"), ["53/udp"]);
        assert_eq!(names("80-82"), ["80/tcp", "81/tcp", "82/tcp"]);
        assert_eq!(
            Port::parse_exposed("80:80").unwrap_err().to_string(),
            "invalid port format for --expose: 80:80"
        );
        assert_eq!(
            Port::parse_exposed("80-").unwrap_err().to_string(),
            "invalid range format for --expose: 80-, error: invalid port"
        );
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_and_bindings_say_the_same(text in "[0-9a-z:.,=/\\[\\]-]{0,24}") {
            let _ = Port::parse_exposed(&text);
            for mapping in PortMapping::parse(&text).unwrap_or_default() {
                let again = PortMapping::from_binding(
                    mapping.port(),
                    &mapping.binding_host_ip(),
                    &mapping.binding_host_port(),
                ).unwrap();
                prop_assert_eq!(again, mapping);
            }
        }
    }
}
