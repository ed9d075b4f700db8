//! `config.json` of a bundle, as far as a container on Linux has use for it.
//!
//! The shapes are those of the [specification]; what means nothing there is refused when it is
//! parsed, what this runtime does not have when it is planned. Members that nobody knows are ignored,
//! as the specification wants it.
//!
//! [specification]: https://github.com/opencontainers/runtime-spec/blob/main/config.md

pub(in crate::oci) mod linux;
pub(in crate::oci) mod process;
pub(in crate::oci) mod resources;
pub(in crate::oci) mod seccomp;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Error, Result};

use linux::Linux;
use process::Process;

/// The whole of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Config {
    pub(super) oci_version: String,
    pub(super) process: Option<Process>,
    pub(super) root: Option<Root>,
    pub(super) hostname: Option<String>,
    pub(super) domainname: Option<String>,
    pub(super) mounts: Vec<Mount>,
    pub(super) hooks: Hooks,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) linux: Linux,
}

impl Config {
    /// Reads it, and refuses a version of the specification that is not 1.x.
    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        let config: Self = serde_json::from_slice(text)
            .map_err(|error| Error::invalid(format!("config.json: {error}")))?;
        if !config.oci_version.starts_with("1.") {
            return Err(Error::unsupported(format!(
                "config.json: ociVersion is {:?}, and this runtime knows 1.0 to 1.2",
                config.oci_version
            )));
        }
        Ok(config)
    }
}

/// The root of the container's file system.
#[derive(Debug, Deserialize)]
pub(super) struct Root {
    /// Relative to the bundle, or absolute.
    pub(super) path: PathBuf,
    #[serde(default)]
    pub(super) readonly: bool,
}

/// Something mounted over it. Options are those of mount(8).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mount {
    pub(super) destination: PathBuf,
    #[serde(default, rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) source: Option<PathBuf>,
    #[serde(default)]
    pub(super) options: Vec<String>,
    #[serde(default)]
    pub(super) uid_mappings: Vec<linux::IdMapping>,
    #[serde(default)]
    pub(super) gid_mappings: Vec<linux::IdMapping>,
}

/// Programs that others want to have run at moments in the life of a container.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Hooks {
    pub(super) prestart: Vec<Hook>,
    pub(super) create_runtime: Vec<Hook>,
    pub(super) create_container: Vec<Hook>,
    pub(super) start_container: Vec<Hook>,
    pub(super) poststart: Vec<Hook>,
    pub(super) poststop: Vec<Hook>,
}

/// One of them.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Hook {
    /// Absolute, in the file system of the moment it runs at.
    pub(super) path: PathBuf,
    /// The name that it is called by first.
    #[serde(default)]
    pub(super) args: Vec<String>,
    #[serde(default)]
    pub(super) env: Vec<String>,
    /// Seconds after which it is killed.
    #[serde(default)]
    pub(super) timeout: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_knows_is_ignored() {
        let text = br#"{"ociVersion": "1.2.0", "x-mine": {"a": [1]}, "linux": {"later": true}}"#;
        assert!(Config::parse(text).unwrap().process.is_none());
    }

    #[test]
    fn another_major_version_is_refused_by_name() {
        let error = Config::parse(br#"{"ociVersion": "2.0.0"}"#).unwrap_err();
        assert!(error.to_string().contains("2.0.0"), "{error}");
    }
}
