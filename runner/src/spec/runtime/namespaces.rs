//! Which namespaces are new, which are joined, and which are the host's.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::{CgroupnsMode, IpcMode, PidMode, UtsMode};
use super::SpecInput;

pub(super) fn namespaces(input: &SpecInput<'_>) -> Value {
    let host_config = input.host_config;
    let paths = input.namespaces;
    let mut namespaces = vec![json!({"type": "mount"})];
    let mut add = |kind: &str, is_host: bool, path: Option<&PathBuf>| {
        if !is_host {
            namespaces.push(match path {
                Some(path) => json!({"type": kind, "path": path}),
                None => json!({"type": kind}),
            });
        }
    };
    add("network", host_config.network_mode == "host", paths.network.as_ref());
    add("uts", host_config.uts_mode == UtsMode::Host, None);
    add("pid", host_config.pid_mode == PidMode::Host, paths.pid.as_ref());
    add("ipc", host_config.ipc_mode == IpcMode::Host, paths.ipc.as_ref());
    add("cgroup", host_config.cgroupns_mode != CgroupnsMode::Private, None);
    namespaces.into()
}
