//! The process of a container, and of an `exec`.

use std::path::PathBuf;

use serde::Deserialize;

/// What is executed, and as whom.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::oci) struct Process {
    pub(in crate::oci) terminal: bool,
    pub(in crate::oci) console_size: Option<ConsoleSize>,
    pub(in crate::oci) user: User,
    pub(in crate::oci) args: Vec<String>,
    pub(in crate::oci) env: Vec<String>,
    pub(in crate::oci) cwd: PathBuf,
    pub(in crate::oci) capabilities: Option<Capabilities>,
    pub(in crate::oci) rlimits: Vec<Rlimit>,
    pub(in crate::oci) no_new_privileges: bool,
    pub(in crate::oci) apparmor_profile: String,
    pub(in crate::oci) selinux_label: String,
    pub(in crate::oci) oom_score_adj: Option<i32>,
    pub(in crate::oci) scheduler: Option<serde_json::Value>,
    #[serde(rename = "ioPriority")]
    pub(in crate::oci) io_priority: Option<serde_json::Value>,
    #[serde(rename = "execCPUAffinity")]
    pub(in crate::oci) exec_cpu_affinity: Option<serde_json::Value>,
}

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(in crate::oci) struct ConsoleSize {
    pub(in crate::oci) height: u16,
    pub(in crate::oci) width: u16,
}

/// Numbers of the container, whatever they are called there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::oci) struct User {
    pub(in crate::oci) uid: u32,
    pub(in crate::oci) gid: u32,
    pub(in crate::oci) umask: Option<u32>,
    pub(in crate::oci) additional_gids: Vec<u32>,
}

/// Names of capabilities, by the set that they are in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::oci) struct Capabilities {
    pub(in crate::oci) bounding: Vec<String>,
    pub(in crate::oci) effective: Vec<String>,
    pub(in crate::oci) inheritable: Vec<String>,
    pub(in crate::oci) permitted: Vec<String>,
    pub(in crate::oci) ambient: Vec<String>,
}

/// One limit of setrlimit(2).
#[derive(Clone, Debug, Deserialize)]
pub(in crate::oci) struct Rlimit {
    #[serde(rename = "type")]
    pub(in crate::oci) kind: String,
    pub(in crate::oci) soft: u64,
    pub(in crate::oci) hard: u64,
}
