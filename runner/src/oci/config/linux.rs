//! The part of the configuration that is Linux's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::resources::Resources;
use super::seccomp::Seccomp;

/// Namespaces, devices, limits.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::oci) struct Linux {
    pub(in crate::oci) namespaces: Vec<Namespace>,
    pub(in crate::oci) uid_mappings: Vec<IdMapping>,
    pub(in crate::oci) gid_mappings: Vec<IdMapping>,
    pub(in crate::oci) time_offsets: BTreeMap<String, TimeOffset>,
    pub(in crate::oci) devices: Vec<Device>,
    pub(in crate::oci) cgroups_path: String,
    pub(in crate::oci) resources: Resources,
    pub(in crate::oci) rootfs_propagation: String,
    pub(in crate::oci) seccomp: Option<Seccomp>,
    pub(in crate::oci) sysctl: BTreeMap<String, String>,
    pub(in crate::oci) masked_paths: Vec<PathBuf>,
    pub(in crate::oci) readonly_paths: Vec<PathBuf>,
    pub(in crate::oci) mount_label: String,
    pub(in crate::oci) intel_rdt: Option<serde_json::Value>,
    pub(in crate::oci) personality: Option<Personality>,
    pub(in crate::oci) net_devices: BTreeMap<String, serde_json::Value>,
    pub(in crate::oci) memory_policy: Option<serde_json::Value>,
}

/// The kinds that the specification names.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::oci) enum NamespaceKind {
    User,
    Pid,
    Network,
    Mount,
    Ipc,
    Uts,
    Cgroup,
    Time,
}

/// A new namespace, or the one at `path`.
#[derive(Debug, Deserialize)]
pub(in crate::oci) struct Namespace {
    #[serde(rename = "type")]
    pub(in crate::oci) kind: NamespaceKind,
    #[serde(default)]
    pub(in crate::oci) path: PathBuf,
}

/// A range of ids of the container on ids of the host.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(in crate::oci) struct IdMapping {
    #[serde(rename = "containerID")]
    pub(in crate::oci) container_id: u32,
    #[serde(rename = "hostID")]
    pub(in crate::oci) host_id: u32,
    pub(in crate::oci) size: u32,
}

/// How far a clock of the container is ahead.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::oci) struct TimeOffset {
    pub(in crate::oci) secs: i64,
    pub(in crate::oci) nanosecs: u32,
}

/// A node below `/dev`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::oci) struct Device {
    #[serde(rename = "type")]
    pub(in crate::oci) kind: DeviceKind,
    pub(in crate::oci) path: PathBuf,
    #[serde(default)]
    pub(in crate::oci) major: u32,
    #[serde(default)]
    pub(in crate::oci) minor: u32,
    #[serde(default)]
    pub(in crate::oci) file_mode: Option<u32>,
    #[serde(default)]
    pub(in crate::oci) uid: Option<u32>,
    #[serde(default)]
    pub(in crate::oci) gid: Option<u32>,
}

/// `u` is another word for a character device.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(in crate::oci) enum DeviceKind {
    #[serde(rename = "c", alias = "u")]
    Character,
    #[serde(rename = "b")]
    Block,
    #[serde(rename = "p")]
    Fifo,
}

/// What kind of system the process believes to run on.
#[derive(Debug, Deserialize)]
pub(in crate::oci) struct Personality {
    pub(in crate::oci) domain: String,
    #[serde(default)]
    pub(in crate::oci) flags: Vec<String>,
}
