//! Which network a container is connected to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::NetworkError;

/// The argument of `--network`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum NetworkMode {
    /// The bridge that all containers have in common. `default` means it, too.
    #[default]
    Bridge,
    /// The network of the host itself.
    Host,
    /// Nothing but a loopback.
    None,
    /// The network of another container, by its name or id.
    Container(String),
    /// A network that somebody made.
    Named(String),
}

impl NetworkMode {
    /// Whether the container has a network namespace of its own.
    #[must_use]
    pub fn is_private(&self) -> bool {
        !matches!(self, Self::Host | Self::Container(_))
    }
}

impl FromStr for NetworkMode {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        Ok(match text {
            "" | "default" | "bridge" => Self::Bridge,
            "host" => Self::Host,
            "none" => Self::None,
            _ => match text.strip_prefix("container:") {
                Some("") => return Err(NetworkError::ContainerMode),
                Some(container) => Self::Container(container.to_owned()),
                None if text == "container" => return Err(NetworkError::ContainerMode),
                None => Self::Named(text.to_owned()),
            },
        })
    }
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge => formatter.write_str("bridge"),
            Self::Host => formatter.write_str("host"),
            Self::None => formatter.write_str("none"),
            Self::Container(container) => write!(formatter, "container:{container}"),
            Self::Named(name) => formatter.write_str(name),
        }
    }
}

impl TryFrom<String> for NetworkMode {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<NetworkMode> for String {
    fn from(mode: NetworkMode) -> Self {
        mode.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_read_as_docker_reads_it() {
        let modes = [
            ("default", NetworkMode::Bridge),
            ("bridge", NetworkMode::Bridge),
            ("host", NetworkMode::Host),
            ("none", NetworkMode::None),
            ("container:web", NetworkMode::Container("web".into())),
            ("backend", NetworkMode::Named("backend".into())),
        ];
        for (text, mode) in modes {
            assert_eq!(text.parse::<NetworkMode>().unwrap(), mode);
        }
        for text in ["container", "container:"] {
            assert!(text.parse::<NetworkMode>().is_err(), "{text}");
        }
        assert_eq!(NetworkMode::Container("web".into()).to_string(), "container:web");
    }
}
