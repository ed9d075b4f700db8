//! Whose namespaces a container has. As text they are what the command line and the API say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::SpecError;

/// The text of each mode, and back.
macro_rules! as_text {
    ($mode:ident) => {
        impl TryFrom<String> for $mode {
            type Error = SpecError;

            fn try_from(text: String) -> Result<Self, SpecError> {
                text.parse()
            }
        }

        impl From<$mode> for String {
            fn from(mode: $mode) -> Self {
                mode.to_string()
            }
        }
    };
}

/// The name in `container:NAME`.
fn container(text: &str) -> Option<String> {
    text.strip_prefix("container:").filter(|name| !name.is_empty()).map(str::to_owned)
}

/// Which processes it sees.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum PidMode {
    /// Its own.
    #[default]
    Private,
    /// All of the host.
    Host,
    /// Those of the container by this name or id as well.
    Container(String),
}

impl FromStr for PidMode {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        match text {
            "" | "private" => Ok(Self::Private),
            "host" => Ok(Self::Host),
            text => container(text)
                .map(Self::Container)
                .ok_or_else(|| SpecError::invalid(format!("invalid PID mode: {text}"))),
        }
    }
}

impl fmt::Display for PidMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private => Ok(()),
            Self::Host => formatter.write_str("host"),
            Self::Container(name) => write!(formatter, "container:{name}"),
        }
    }
}

as_text!(PidMode);

/// With whom it shares memory and message queues.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum IpcMode {
    /// Not said: [`Self::Private`].
    #[default]
    Default,
    /// With nobody, and there is no `/dev/shm`.
    None,
    /// With nobody.
    Private,
    /// With those that ask for it.
    Shareable,
    /// With the host.
    Host,
    /// With the container by this name or id.
    Container(String),
}

impl FromStr for IpcMode {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        match text {
            "" => Ok(Self::Default),
            "none" => Ok(Self::None),
            "private" => Ok(Self::Private),
            "shareable" => Ok(Self::Shareable),
            "host" => Ok(Self::Host),
            text => container(text)
                .map(Self::Container)
                .ok_or_else(|| SpecError::invalid(format!("invalid IPC mode: {text}"))),
        }
    }
}

impl fmt::Display for IpcMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Default => "",
            Self::None => "none",
            Self::Private => "private",
            Self::Shareable => "shareable",
            Self::Host => "host",
            Self::Container(name) => return write!(formatter, "container:{name}"),
        })
    }
}

as_text!(IpcMode);

/// Whose names it has.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum UtsMode {
    /// Its own.
    #[default]
    Private,
    /// The host's.
    Host,
}

impl FromStr for UtsMode {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        match text {
            "" => Ok(Self::Private),
            "host" => Ok(Self::Host),
            text => Err(SpecError::invalid(format!("invalid UTS mode: {text}"))),
        }
    }
}

impl fmt::Display for UtsMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Private => "",
            Self::Host => "host",
        })
    }
}

as_text!(UtsMode);

/// Whose numbers its users have. There is no other way than the host's yet.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum UsernsMode {
    /// Not said.
    #[default]
    Default,
    /// The host's.
    Host,
}

impl FromStr for UsernsMode {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        match text {
            "" => Ok(Self::Default),
            "host" => Ok(Self::Host),
            text => Err(SpecError::invalid(format!(
                "invalid USER mode: {text}: users of containers are those of the host for now"
            ))),
        }
    }
}

impl fmt::Display for UsernsMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Default => "",
            Self::Host => "host",
        })
    }
}

as_text!(UsernsMode);

/// Whose tree of cgroups it sees.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum CgroupnsMode {
    /// Not said: with version 2 its own, else the host's.
    #[default]
    Default,
    /// Its own.
    Private,
    /// The host's.
    Host,
}

impl FromStr for CgroupnsMode {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        match text {
            "" => Ok(Self::Default),
            "private" => Ok(Self::Private),
            "host" => Ok(Self::Host),
            text => Err(SpecError::invalid(format!("invalid CGROUP mode: {text}"))),
        }
    }
}

impl fmt::Display for CgroupnsMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Default => "",
            Self::Private => "private",
            Self::Host => "host",
        })
    }
}

as_text!(CgroupnsMode);
