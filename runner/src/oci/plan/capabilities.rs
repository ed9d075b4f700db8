//! Capabilities by name, in the sets that a process has.

use super::super::config::process::Capabilities;

/// By number, without `CAP_`.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The sets of capabilities(7), a bit for each number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::oci) struct CapabilityPlan {
    pub(in crate::oci) bounding: u64,
    pub(in crate::oci) effective: u64,
    pub(in crate::oci) inheritable: u64,
    pub(in crate::oci) permitted: u64,
    pub(in crate::oci) ambient: u64,
}

impl CapabilityPlan {
    /// What the names mean on a host where `available` can be had. None is an error that is not
    /// there: a container with less than was asked for fails where it needs it.
    pub(super) fn new(names: &Capabilities, available: u64, warnings: &mut Vec<String>) -> Self {
        let mut missing = Vec::new();
        let mut set = |names: &[String]| {
            names.iter().fold(0, |set, name| match bit(name) {
                Some(bit) if available & bit != 0 => set | bit,
                _ => {
                    if !missing.contains(name) {
                        missing.push(name.clone());
                    }
                    set
                }
            })
        };
        let plan = Self {
            bounding: set(&names.bounding),
            effective: set(&names.effective),
            inheritable: set(&names.inheritable),
            permitted: set(&names.permitted),
            ambient: set(&names.ambient),
        };
        if !missing.is_empty() {
            warnings
                .push(format!("capabilities that this host does not have: {}", missing.join(", ")));
        }
        plan
    }
}

fn bit(name: &str) -> Option<u64> {
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("CAP_").unwrap_or(&name);
    NAMES.iter().position(|known| *known == name).map(|number| 1 << number)
}

/// All names, for those who ask what there is.
pub(crate) fn names() -> impl Iterator<Item = String> {
    NAMES.iter().map(|name| format!("CAP_{name}"))
}
