//! Which system calls a container may make.

use serde::Deserialize;

/// A filter: rules, and what becomes of all other calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::oci) struct Seccomp {
    pub(in crate::oci) default_action: Action,
    #[serde(default)]
    pub(in crate::oci) default_errno_ret: Option<u16>,
    /// Those of the kernel that may call, in libseccomp's words; none is the host's own alone.
    #[serde(default)]
    pub(in crate::oci) architectures: Vec<Architecture>,
    #[serde(default)]
    pub(in crate::oci) flags: Vec<Flag>,
    #[serde(default)]
    pub(in crate::oci) listener_path: String,
    #[serde(default)]
    pub(in crate::oci) syscalls: Vec<Rule>,
}

/// What becomes of calls by these names whose arguments all compare as said.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::oci) struct Rule {
    pub(in crate::oci) names: Vec<String>,
    pub(in crate::oci) action: Action,
    #[serde(default)]
    pub(in crate::oci) errno_ret: Option<u16>,
    #[serde(default)]
    pub(in crate::oci) args: Vec<Argument>,
}

/// A comparison of one argument.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::oci) struct Argument {
    pub(in crate::oci) index: u8,
    pub(in crate::oci) value: u64,
    #[serde(default)]
    pub(in crate::oci) value_two: u64,
    pub(in crate::oci) op: Operator,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(in crate::oci) enum Action {
    #[serde(rename = "SCMP_ACT_KILL", alias = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(in crate::oci) enum Operator {
    #[serde(rename = "SCMP_CMP_NE")]
    NotEqual,
    #[serde(rename = "SCMP_CMP_LT")]
    Less,
    #[serde(rename = "SCMP_CMP_LE")]
    LessOrEqual,
    #[serde(rename = "SCMP_CMP_EQ")]
    Equal,
    #[serde(rename = "SCMP_CMP_GE")]
    GreaterOrEqual,
    #[serde(rename = "SCMP_CMP_GT")]
    Greater,
    /// `value` is the mask, `valueTwo` what is left under it.
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(in crate::oci) enum Flag {
    #[serde(rename = "SECCOMP_FILTER_FLAG_TSYNC")]
    Tsync,
    #[serde(rename = "SECCOMP_FILTER_FLAG_LOG")]
    Log,
    #[serde(rename = "SECCOMP_FILTER_FLAG_SPEC_ALLOW")]
    SpecAllow,
    #[serde(rename = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")]
    WaitKillable,
}

/// Those that this runtime has tables of calls for, and all others.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(in crate::oci) enum Architecture {
    #[serde(rename = "SCMP_ARCH_X86_64")]
    X86_64,
    #[serde(rename = "SCMP_ARCH_X86")]
    X86,
    #[serde(rename = "SCMP_ARCH_X32")]
    X32,
    #[serde(rename = "SCMP_ARCH_AARCH64")]
    Aarch64,
    #[serde(rename = "SCMP_ARCH_ARM")]
    Arm,
    /// No process of the hosts that this runtime is built for can make its calls.
    #[serde(other)]
    Other,
}
