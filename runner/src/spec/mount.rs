//! What is mounted into a container.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::SpecError;
use super::nullable::null_is_default;

/// What `--mount` asks for; a member of `HostConfig.Mounts`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Mount {
    /// Of which kind.
    #[serde(rename = "Type")]
    pub kind: MountKind,
    /// A path of the host, the name of a volume, or nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Where in the container.
    #[serde(default)]
    pub target: String,
    /// Whether writing is refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Of bind mounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind_options: Option<BindOptions>,
    /// Of volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_options: Option<VolumeOptions>,
    /// Of tmpfs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmpfs_options: Option<TmpfsOptions>,
}

/// The kinds that there are.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A part of the host's tree.
    Bind,
    /// A folder that the engine looks after.
    #[default]
    Volume,
    /// Memory.
    Tmpfs,
}

impl fmt::Display for MountKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Bind => "bind",
            Self::Volume => "volume",
            Self::Tmpfs => "tmpfs",
        })
    }
}

/// How mounts made on one side reach the other.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "these are the words of mount_namespaces(7)")]
pub enum Propagation {
    /// Not said.
    #[default]
    #[serde(rename = "")]
    Default,
    Private,
    Rprivate,
    Shared,
    Rshared,
    Slave,
    Rslave,
}

impl Propagation {
    /// The word for it, which is empty where nothing was said.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Private => "private",
            Self::Rprivate => "rprivate",
            Self::Shared => "shared",
            Self::Rshared => "rshared",
            Self::Slave => "slave",
            Self::Rslave => "rslave",
        }
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

impl FromStr for Propagation {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        Ok(match text {
            "private" => Self::Private,
            "rprivate" => Self::Rprivate,
            "shared" => Self::Shared,
            "rshared" => Self::Rshared,
            "slave" => Self::Slave,
            "rslave" => Self::Rslave,
            text => {
                return Err(SpecError::invalid(format!(
                    "invalid propagation value: {text}: must be one of \"private\", \"rprivate\", \"rshared\", \"rslave\", \"shared\", or \"slave\""
                )));
            }
        })
    }
}

/// Of a bind mount.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct BindOptions {
    /// How mounts reach the other side.
    #[serde(skip_serializing_if = "Propagation::is_default")]
    pub propagation: Propagation,
    /// Without what is mounted below the source.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub non_recursive: bool,
    /// Make the source where it is missing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub create_mountpoint: bool,
    /// Read-only at the top alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only_non_recursive: bool,
    /// Fail where it cannot be read-only all the way down.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only_force_recursive: bool,
}

/// Of a volume.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct VolumeOptions {
    /// An empty volume stays empty.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_copy: bool,
    /// Of the volume, if it is made now.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// A folder in it instead of all of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subpath: String,
    /// What makes it, if it is made now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_config: Option<Driver>,
}

/// What makes a volume; the only one is `local`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Driver {
    /// Which.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it is told.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// Of memory.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct TmpfsOptions {
    /// At most; 0 is half of the machine's memory.
    #[serde(skip_serializing_if = "is_zero")]
    pub size_bytes: i64,
    /// Of its root; 0 is 1777.
    #[serde(skip_serializing_if = "is_no_mode")]
    pub mode: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_no_mode(mode: &u32) -> bool {
    *mode == 0
}

/// A mount with nothing left open: what `inspect` shows, and what the engine needs besides.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MountPoint {
    /// Of which kind.
    #[serde(rename = "Type")]
    pub kind: MountKind,
    /// Of a volume.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A path of the host; empty for memory.
    pub source: String,
    /// Where in the container.
    pub destination: String,
    /// Of a volume: `local`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// The options of `-v` as they were given.
    pub mode: String,
    /// Whether it can be written to.
    #[serde(rename = "RW")]
    pub rw: bool,
    /// How mounts reach the other side.
    pub propagation: Propagation,
    /// What `inspect` does not show.
    #[serde(default, skip_serializing_if = "MountDetails::is_default")]
    pub details: MountDetails,
}

impl MountPoint {
    /// As `inspect` has it.
    #[must_use]
    pub fn inspect(&self) -> Value {
        let shown = Self { details: MountDetails::default(), ..self.clone() };
        // There is no map with keys that are not text in it, so this cannot fail.
        serde_json::to_value(shown).unwrap_or_else(|_| json!({}))
    }

    /// Whether it is a volume that nobody has named, which goes with its container.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.kind == MountKind::Volume && self.details.anonymous
    }
}

/// What the engine has to know of a mount, beside what it shows.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct MountDetails {
    /// A volume that nobody has named.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub anonymous: bool,
    /// Make the folder of the host where it is missing, as `-v` does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub make_source: bool,
    /// Without what is mounted below it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub non_recursive: bool,
    /// Read-only at the top alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only_non_recursive: bool,
    /// An empty volume stays empty.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_copy: bool,
    /// A folder of the volume instead of all of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subpath: String,
    /// Of the volume, if it is made now.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Of the driver, if the volume is made now.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_options: BTreeMap<String, String>,
    /// The options of memory, as mount(8) has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<String>,
    /// Given by `--tmpfs`: `inspect` shows those elsewhere.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

impl MountDetails {
    /// What a volume is that is not in its folder: `-o device=` of the volume.
    #[must_use]
    pub fn device(&self) -> Option<&str> {
        self.driver_options.get("device").map(String::as_str).filter(|device| !device.is_empty())
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
