//! What the bridge is to be like: the section `network` of `/etc/berth/engine.yml`.
//!
//! ```yaml
//! network:
//!   bridge: berth0               # its name
//!   subnet: 172.29.0.0/16        # else one that the host has no route into
//!   ipv6subnet: fd00:1:2::/64    # else one that nobody else has; `none` for no IPv6
//! ```

use serde::Deserialize;

use super::NetworkError;
use super::subnet::{Subnet, SubnetIpv6};
use crate::engine_file::{EngineFile, Unusable};

/// What the file says of the bridge.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    bridge: Option<String>,
    pub(super) subnet: Option<Subnet>,
    ipv6subnet: Option<String>,
}

/// Whether containers have IPv6, and which.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ipv6 {
    Off,
    Unique,
    Subnet(SubnetIpv6),
}

/// The file, as far as it is about networks.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    network: Settings,
}

impl Settings {
    /// Reads the section; without one nothing is set.
    pub(super) fn read() -> Result<Self, NetworkError> {
        let read = EngineFile::of_environment().read(Self::parse);
        read.map_err(|Unusable { path, reason }| NetworkError::Settings { path, reason })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: Option<File> = yaml_serde::from_str(text).map_err(|error| error.to_string())?;
        let settings = file.unwrap_or_default().network;
        settings.check().map_err(|reason| format!("network: {reason}"))?;
        Ok(settings)
    }

    /// The name of the bridge.
    pub(super) fn bridge(&self) -> &str {
        self.bridge.as_deref().unwrap_or("berth0")
    }

    pub(super) fn ipv6(&self) -> Result<Ipv6, String> {
        match self.ipv6subnet.as_deref() {
            None => Ok(Ipv6::Unique),
            Some("none") => Ok(Ipv6::Off),
            Some(subnet) => subnet.parse().map(Ipv6::Subnet),
        }
    }

    fn check(&self) -> Result<(), String> {
        let name = self.bridge();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=15).contains(&name.len()) || !name.bytes().all(is_name) || name.starts_with('.') {
            return Err(format!("bridge: {name:?} is no name of a link"));
        }
        self.ipv6().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_says_nothing_leaves_all_as_it_is() {
        for text in ["", "# nothing\n", "mirrors: {}\n"] {
            assert_eq!(Settings::parse(text).unwrap(), Settings::default(), "{text}");
        }
        assert_eq!(Settings::default().bridge(), "berth0");
    }

    #[test]
    fn a_bridge_is_as_the_file_says() {
        let settings =
            Settings::parse("network: {bridge: br7, subnet: 10.1.0.0/24, ipv6subnet: none}\n")
                .unwrap();
        assert_eq!(settings.bridge(), "br7");
        assert_eq!(settings.subnet.unwrap().to_string(), "10.1.0.0/24");
        assert_eq!(settings.ipv6(), Ok(Ipv6::Off));
        let settings = Settings::parse("network: {ipv6subnet: 'fd00:7::/64'}\n").unwrap();
        assert!(matches!(settings.ipv6(), Ok(Ipv6::Subnet(_))));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for text in [
            "network: {bridge: a/b}",
            "network: {bridge: a-name-that-is-too-long}",
            "network: {subnet: 10.0.0.0}",
            "network: {ipv6subnet: 10.0.0.0/8}",
            "network: {subnets: 10.0.0.0/8}",
        ] {
            let error = Settings::parse(text).unwrap_err();
            assert!(error.starts_with("network: "), "{error}");
        }
    }
}
