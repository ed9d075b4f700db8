//! What a container may use. Numbers of -1 mean no limit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All of it; what is `None` is left as it is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::oci) struct Resources {
    pub(in crate::oci) devices: Vec<DeviceRule>,
    pub(in crate::oci) memory: Memory,
    pub(in crate::oci) cpu: Cpu,
    pub(in crate::oci) pids: Pids,
    #[serde(rename = "blockIO")]
    pub(in crate::oci) block_io: BlockIo,
    pub(in crate::oci) hugepage_limits: Vec<HugepageLimit>,
    pub(in crate::oci) network: Network,
    /// Files of cgroup v2 and what to write into them.
    pub(in crate::oci) unified: BTreeMap<String, String>,
}

/// Whether devices may be read, written, made. No number is every number.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(in crate::oci) struct DeviceRule {
    pub(in crate::oci) allow: bool,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub(in crate::oci) kind: Option<RuleKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::oci) major: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::oci) minor: Option<i64>,
    /// Of `r`, `w` and `m`; none is all.
    #[serde(default)]
    pub(in crate::oci) access: String,
}

/// `a` is both.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(in crate::oci) enum RuleKind {
    #[serde(rename = "a")]
    All,
    #[serde(rename = "c", alias = "u")]
    Character,
    #[serde(rename = "b")]
    Block,
}

/// In bytes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::oci) struct Memory {
    pub(in crate::oci) limit: Option<i64>,
    pub(in crate::oci) reservation: Option<i64>,
    /// Memory and swap together.
    pub(in crate::oci) swap: Option<i64>,
    pub(in crate::oci) swappiness: Option<u64>,
    #[serde(rename = "disableOOMKiller")]
    pub(in crate::oci) disable_oom_killer: Option<bool>,
    pub(in crate::oci) check_before_update: Option<bool>,
}

/// Times are in microseconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::oci) struct Cpu {
    pub(in crate::oci) shares: Option<u64>,
    pub(in crate::oci) quota: Option<i64>,
    pub(in crate::oci) burst: Option<u64>,
    pub(in crate::oci) period: Option<u64>,
    pub(in crate::oci) realtime_runtime: Option<i64>,
    pub(in crate::oci) realtime_period: Option<u64>,
    pub(in crate::oci) cpus: Option<String>,
    pub(in crate::oci) mems: Option<String>,
    pub(in crate::oci) idle: Option<i64>,
}

/// How many processes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(in crate::oci) struct Pids {
    pub(in crate::oci) limit: Option<i64>,
}

/// Weights, and rates in bytes or operations a second.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::oci) struct BlockIo {
    pub(in crate::oci) weight: Option<u16>,
    pub(in crate::oci) leaf_weight: Option<u16>,
    pub(in crate::oci) weight_device: Vec<WeightDevice>,
    pub(in crate::oci) throttle_read_bps_device: Vec<ThrottleDevice>,
    pub(in crate::oci) throttle_write_bps_device: Vec<ThrottleDevice>,
    #[serde(rename = "throttleReadIOPSDevice")]
    pub(in crate::oci) throttle_read_iops_device: Vec<ThrottleDevice>,
    #[serde(rename = "throttleWriteIOPSDevice")]
    pub(in crate::oci) throttle_write_iops_device: Vec<ThrottleDevice>,
}

/// The weight of one device.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::oci) struct WeightDevice {
    pub(in crate::oci) major: i64,
    pub(in crate::oci) minor: i64,
    pub(in crate::oci) weight: Option<u16>,
}

/// The rate of one device.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(in crate::oci) struct ThrottleDevice {
    pub(in crate::oci) major: i64,
    pub(in crate::oci) minor: i64,
    pub(in crate::oci) rate: u64,
}

/// Bytes of pages of one size, as in `2MB`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::oci) struct HugepageLimit {
    pub(in crate::oci) page_size: String,
    pub(in crate::oci) limit: u64,
}

/// Marks on what it sends.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(in crate::oci) struct Network {
    #[serde(rename = "classID")]
    pub(in crate::oci) class_id: Option<u32>,
    pub(in crate::oci) priorities: Vec<Priority>,
}

/// The priority on one interface.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(in crate::oci) struct Priority {
    pub(in crate::oci) name: String,
    pub(in crate::oci) priority: u32,
}
