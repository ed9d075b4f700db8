//! `config.json` of the OCI runtime, with docker's defaults.

mod devices;
mod host;
mod mounts;
mod namespaces;
mod process;
mod resources;
mod security;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{ContainerConfig, HostConfig, MountPoint, SpecError, User, UtsMode};

pub use host::HostFacts;
pub use process::{command_line, environment};

/// Where the runtime finds everything of one container.
#[derive(Clone, Copy, Debug)]
pub struct SpecInput<'spec> {
    /// All of the id.
    pub id: &'spec str,
    /// With what the image says taken in, and the hostname filled in.
    pub config: &'spec ContainerConfig,
    /// Settled.
    pub host_config: &'spec HostConfig,
    /// The root, mounted.
    pub root: &'spec Path,
    /// Who the process is; see [`super::resolve_user`].
    pub user: &'spec User,
    /// What is mounted into it, nothing left open.
    pub mounts: &'spec [MountPoint],
    /// Namespaces that are there already.
    pub namespaces: &'spec NamespacePaths,
    /// Files of the engine's that the container sees.
    pub files: &'spec ContainerFiles,
    /// What the host is like.
    pub host: &'spec HostFacts,
}

/// Namespaces to join, as paths in `/proc`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespacePaths {
    /// Of the network, unless it is the host's; without it there is a new one with nothing in it.
    pub network: Option<PathBuf>,
    /// That of `--pid container:`.
    pub pid: Option<PathBuf>,
    /// That of `--ipc container:`.
    pub ipc: Option<PathBuf>,
}

/// Files of the engine's that are mounted into the container, where there are any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerFiles {
    /// `/etc/hosts`.
    pub hosts: Option<PathBuf>,
    /// `/etc/hostname`.
    pub hostname: Option<PathBuf>,
    /// `/etc/resolv.conf`.
    pub resolv_conf: Option<PathBuf>,
    /// `/dev/shm`, where it is shared with other containers.
    pub shm: Option<PathBuf>,
    /// The program of `--init`.
    pub init: Option<PathBuf>,
}

/// Where the program of `--init` is in a container.
const INIT: &str = "/sbin/docker-init";

/// Hidden, because they tell of the host or can harm it.
pub(super) const MASKED_PATHS: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Not to be written, because they are the host's.
pub(super) const READONLY_PATHS: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Makes the configuration of the runtime.
///
/// # Errors
///
/// What cannot be given to the container, and why.
pub fn runtime_spec(input: &SpecInput<'_>) -> Result<Value, SpecError> {
    let SpecInput { config, host_config, .. } = *input;
    let capabilities = super::capabilities::capabilities(host_config, input.host.capabilities)?;
    let security = security::Security::read(host_config, input.host)?;
    let mut linux = Map::new();
    linux.insert("namespaces".to_owned(), namespaces::namespaces(input));
    linux.insert("cgroupsPath".to_owned(), cgroups_path(input).into());
    let (devices, device_rules) = devices::devices(host_config)?;
    if !devices.is_empty() {
        linux.insert("devices".to_owned(), devices.into());
    }
    linux.insert("resources".to_owned(), resources::resources(host_config, device_rules)?);
    linux.insert("sysctl".to_owned(), sysctls(input).into());
    if let Some(filter) = security.seccomp(&capabilities, input.host)? {
        linux.insert("seccomp".to_owned(), filter);
    }
    if !host_config.privileged {
        linux.insert("maskedPaths".to_owned(), masked_paths(host_config).into());
        let paths = host_config.readonly_paths.clone();
        let paths = paths.unwrap_or_else(|| READONLY_PATHS.map(str::to_owned).to_vec());
        linux.insert("readonlyPaths".to_owned(), paths.into());
    }
    let mounts = mounts::mounts(input)?;
    if let Some(propagation) = mounts.root_propagation {
        linux.insert("rootfsPropagation".to_owned(), propagation.into());
    }
    let mut spec = Map::new();
    // Nothing here is newer, and crun 1.8 refuses what says that it may be.
    spec.insert("ociVersion".to_owned(), "1.0.2".into());
    spec.insert("process".to_owned(), process::process(input, &capabilities, &security)?);
    let root = json!({"path": input.root, "readonly": host_config.readonly_rootfs});
    spec.insert("root".to_owned(), root);
    if host_config.uts_mode == UtsMode::Private && !config.hostname.is_empty() {
        spec.insert("hostname".to_owned(), config.hostname.clone().into());
    }
    spec.insert("mounts".to_owned(), mounts.mounts.into());
    if !host_config.annotations.is_empty() {
        spec.insert("annotations".to_owned(), json!(host_config.annotations));
    }
    spec.insert("linux".to_owned(), linux.into());
    Ok(spec.into())
}

/// Below `/berth`, unless somebody says otherwise.
fn cgroups_path(input: &SpecInput<'_>) -> String {
    let parent = match input.host_config.cgroup_parent.as_str() {
        "" => "/berth",
        parent => parent,
    };
    format!("{}/{}", parent.trim_end_matches('/'), input.id)
}

/// What was asked for, and what programs rely on: everybody may ping, and open any port.
fn sysctls(input: &SpecInput<'_>) -> Map<String, Value> {
    let SpecInput { config, host_config, .. } = *input;
    let mut sysctls = Map::new();
    let mode = host_config.network_mode.as_str();
    if mode != "host" && !mode.starts_with("container:") {
        sysctls.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".into());
        sysctls.insert("net.ipv4.ping_group_range".to_owned(), "0 2147483647".into());
    }
    if !config.domainname.is_empty() && host_config.uts_mode == UtsMode::Private {
        sysctls.insert("kernel.domainname".to_owned(), config.domainname.clone().into());
    }
    for (name, value) in &host_config.sysctls {
        sysctls.insert(name.clone(), value.clone().into());
    }
    sysctls
}

/// The list of the container, or docker's; each processor tells when it was too hot.
fn masked_paths(host_config: &HostConfig) -> Vec<String> {
    let mut paths = match &host_config.masked_paths {
        Some(paths) => paths.clone(),
        None => MASKED_PATHS.map(str::to_owned).to_vec(),
    };
    // An empty list is the wish to see everything.
    if paths.iter().any(|path| path == "/proc/interrupts") {
        paths.extend(HostFacts::thermal_throttles().iter().cloned());
    }
    paths
}

#[cfg(test)]
mod tests;
