//! What a container has of the machine that it is on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::modes::{CgroupnsMode, IpcMode, PidMode, UsernsMode, UtsMode};
use super::mount::Mount;
use super::nullable::{self, null_is_default};

/// The member `HostConfig` of a container.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs, reason = "the Engine API says what its members mean")]
pub struct HostConfig {
    /// As `-v` has them; anonymous volumes are in the other configuration.
    #[serde(with = "nullable")]
    pub binds: Vec<String>,
    #[serde(rename = "ContainerIDFile")]
    pub container_id_file: String,
    pub log_config: LogConfig,
    /// As `--network` has it; see [`crate::network`].
    pub network_mode: String,
    /// By port of the container, as in `80/tcp`.
    #[serde(deserialize_with = "null_is_default")]
    pub port_bindings: BTreeMap<String, Option<Vec<PortBinding>>>,
    pub restart_policy: RestartPolicy,
    pub auto_remove: bool,
    pub volume_driver: String,
    #[serde(with = "nullable")]
    pub volumes_from: Vec<String>,
    /// Height and width.
    pub console_size: [u16; 2],
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(with = "nullable")]
    pub cap_add: Vec<String>,
    #[serde(with = "nullable")]
    pub cap_drop: Vec<String>,
    pub cgroupns_mode: CgroupnsMode,
    #[serde(deserialize_with = "null_is_default")]
    pub dns: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    pub dns_options: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    pub dns_search: Vec<String>,
    /// `NAME:ADDRESS`.
    #[serde(with = "nullable")]
    pub extra_hosts: Vec<String>,
    #[serde(with = "nullable")]
    pub group_add: Vec<String>,
    pub ipc_mode: IpcMode,
    pub cgroup: String,
    #[serde(with = "nullable")]
    pub links: Vec<String>,
    pub oom_score_adj: i32,
    pub pid_mode: PidMode,
    pub privileged: bool,
    pub publish_all_ports: bool,
    pub readonly_rootfs: bool,
    #[serde(with = "nullable")]
    pub security_opt: Vec<String>,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub storage_opt: BTreeMap<String, String>,
    /// By place, with their options.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub tmpfs: BTreeMap<String, String>,
    #[serde(rename = "UTSMode")]
    pub uts_mode: UtsMode,
    pub userns_mode: UsernsMode,
    pub shm_size: i64,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// A name or a path; empty is this program's own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub runtime: String,
    pub isolation: String,

    pub cpu_shares: i64,
    pub memory: i64,
    /// Billionths of a processor.
    pub nano_cpus: i64,
    pub cgroup_parent: String,
    pub blkio_weight: u16,
    #[serde(deserialize_with = "null_is_default")]
    pub blkio_weight_device: Vec<WeightDevice>,
    #[serde(deserialize_with = "null_is_default")]
    pub blkio_device_read_bps: Vec<ThrottleDevice>,
    #[serde(deserialize_with = "null_is_default")]
    pub blkio_device_write_bps: Vec<ThrottleDevice>,
    #[serde(rename = "BlkioDeviceReadIOps", deserialize_with = "null_is_default")]
    pub blkio_device_read_iops: Vec<ThrottleDevice>,
    #[serde(rename = "BlkioDeviceWriteIOps", deserialize_with = "null_is_default")]
    pub blkio_device_write_iops: Vec<ThrottleDevice>,
    pub cpu_period: i64,
    pub cpu_quota: i64,
    pub cpu_realtime_period: i64,
    pub cpu_realtime_runtime: i64,
    pub cpuset_cpus: String,
    pub cpuset_mems: String,
    #[serde(deserialize_with = "null_is_default")]
    pub devices: Vec<DeviceMapping>,
    #[serde(with = "nullable")]
    pub device_cgroup_rules: Vec<String>,
    /// Devices of kinds that this engine does not know; it refuses them.
    #[serde(with = "nullable")]
    pub device_requests: Vec<serde_json::Value>,
    pub memory_reservation: i64,
    /// Memory and swap together; -1 is no limit.
    pub memory_swap: i64,
    pub memory_swappiness: Option<i64>,
    pub oom_kill_disable: Option<bool>,
    pub pids_limit: Option<i64>,
    #[serde(deserialize_with = "null_is_default")]
    pub ulimits: Vec<Ulimit>,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Hidden from the container; `null` is docker's own list.
    pub masked_paths: Option<Vec<String>>,
    /// Not to be written by the container; `null` is docker's own list.
    pub readonly_paths: Option<Vec<String>>,
    /// Whether the first process is one that does nothing but reap and forward.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
}

/// Where what a container says is kept.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct LogConfig {
    /// By what; empty is `json-file`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// What that is told.
    #[serde(deserialize_with = "null_is_default")]
    pub config: BTreeMap<String, String>,
}

/// A port of the host; both are empty where any will do.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PortBinding {
    /// The address.
    pub host_ip: String,
    /// The port, or a range of them.
    pub host_port: String,
}

/// What becomes of a container whose program has ended.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RestartPolicy {
    /// When it starts again.
    pub name: RestartMode,
    /// How often at most; 0 is any number of times.
    pub maximum_retry_count: i64,
}

/// When a container starts again.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartMode {
    /// Never.
    #[default]
    #[serde(alias = "")]
    No,
    /// Whenever it has ended.
    Always,
    /// When it has failed.
    OnFailure,
    /// Whenever it has ended, but for those that somebody has stopped.
    UnlessStopped,
}

/// A device of the host, shown to the container.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DeviceMapping {
    /// A device, or a folder of them.
    pub path_on_host: String,
    /// What it is called there.
    pub path_in_container: String,
    /// Of `r`, `w` and `m`.
    pub cgroup_permissions: String,
}

/// One limit of setrlimit(2); -1 is none.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Ulimit {
    /// As in `nofile`.
    pub name: String,
    /// What the container may raise it to.
    pub hard: i64,
    /// What it is.
    pub soft: i64,
}

/// The weight of one device.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct WeightDevice {
    /// Of the host.
    pub path: String,
    /// 10 to 1000.
    pub weight: u16,
}

/// The rate of one device.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ThrottleDevice {
    /// Of the host.
    pub path: String,
    /// Bytes or operations a second.
    pub rate: u64,
}
