//! What is going to be done: a function of the configuration and of what the host can do. Nothing is
//! touched, so whatever is refused here leaves nothing behind.

mod capabilities;
mod devices;
mod mounts;
mod namespaces;
mod process;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::cgroups::{Cgroup, Layout};
use super::config::Config;
use super::config::linux::Linux;
use super::config::resources::Resources;
use super::container::ContainerId;
use super::{Error, Result};

pub(super) use capabilities::CapabilityPlan;
pub(crate) use capabilities::names as capability_names;
pub(super) use devices::{Node, NodeKind};
pub(super) use mounts::{MountPlan, Source, words as mount_options};
pub(super) use namespaces::{IdMaps, NamespacePlan};
pub(super) use process::ProcessPlan;

/// What a plan depends on besides the configuration.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) cgroups: Layout,
    /// The capabilities that processes can have here.
    pub(super) capabilities: u64,
    pub(super) apparmor: bool,
    pub(super) selinux: bool,
}

/// Everything that becomes of one container.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) namespaces: NamespacePlan,
    pub(super) cgroup: Cgroup,
    pub(super) resources: Resources,
    pub(super) root: RootPlan,
    pub(super) hostname: Option<String>,
    pub(super) domainname: Option<String>,
    /// Files below `/proc/sys`, and what is written into them.
    pub(super) sysctls: Vec<(String, String)>,
    pub(super) process: ProcessPlan,
    /// What was asked for and is not there, where that is no error.
    pub(super) warnings: Vec<String>,
}

/// The file system of a container.
#[derive(Debug)]
pub(super) struct RootPlan {
    /// Where it is on the host; absolute.
    pub(super) path: PathBuf,
    pub(super) readonly: bool,
    /// How mounts of the host's reach the container: `MS_SLAVE` and its like.
    pub(super) propagation: u64,
    pub(super) mounts: Vec<MountPlan>,
    pub(super) nodes: Vec<Node>,
    pub(super) masked: Vec<PathBuf>,
    pub(super) readonly_paths: Vec<PathBuf>,
}

impl Plan {
    /// # Errors
    ///
    /// [`Error::Invalid`] and [`Error::Unsupported`], with the member of the configuration that they
    /// are about.
    pub(super) fn new(
        config: &Config,
        bundle: &Path,
        id: &ContainerId,
        host: &Host,
    ) -> Result<Self> {
        refuse_unknown(&config.linux)?;
        let process = config.process.as_ref();
        let process = process.ok_or_else(|| Error::invalid("config.json: process is missing"))?;
        let root = config.root.as_ref();
        let root = root.ok_or_else(|| Error::invalid("config.json: root is missing"))?;
        let namespaces = NamespacePlan::new(&config.linux)?;
        let cgroup = Cgroup::at(&host.cgroups, &config.linux.cgroups_path, id.as_str())?;
        for (set, needs, what) in [
            (config.hostname.is_some(), namespaces.has_uts(), "hostname"),
            (config.domainname.is_some(), namespaces.has_uts(), "domainname"),
        ] {
            if set && !needs {
                return Err(Error::invalid(format!(
                    "config.json: {what} is that of the host without a uts namespace"
                )));
            }
        }
        let mut warnings = Vec::new();
        let seccomp = config.linux.seccomp.as_ref();
        let mut process = ProcessPlan::new(process, seccomp, host, &mut warnings)?;
        process.personality = personality(&config.linux)?;
        let around = mounts::Surroundings {
            bundle,
            cgroup: &cgroup,
            has_cgroup_namespace: namespaces.has_cgroup(),
        };
        let root = RootPlan {
            path: bundle.join(&root.path),
            readonly: root.readonly,
            propagation: mounts::root_propagation(&config.linux.rootfs_propagation)?,
            mounts: mounts::plan(&config.mounts, &around)?,
            nodes: devices::plan(&config.linux.devices)?,
            masked: absolute(&config.linux.masked_paths, "linux.maskedPaths")?,
            readonly_paths: absolute(&config.linux.readonly_paths, "linux.readonlyPaths")?,
        };
        Ok(Self {
            sysctls: sysctls(&config.linux.sysctl, &namespaces)?,
            namespaces,
            cgroup,
            resources: config.linux.resources.clone(),
            root,
            hostname: config.hostname.clone(),
            domainname: config.domainname.clone(),
            process,
            warnings,
        })
    }
}

/// What the specification has and this runtime has not.
fn refuse_unknown(linux: &Linux) -> Result<()> {
    for (there, what) in [
        (!linux.mount_label.is_empty(), "linux.mountLabel"),
        (linux.intel_rdt.is_some(), "linux.intelRdt"),
        (linux.memory_policy.is_some(), "linux.memoryPolicy"),
        (!linux.net_devices.is_empty(), "linux.netDevices"),
    ] {
        if there {
            return Err(Error::unsupported(format!("{what} is not supported")));
        }
    }
    Ok(())
}

fn personality(linux: &Linux) -> Result<Option<u64>> {
    let Some(personality) = &linux.personality else { return Ok(None) };
    if !personality.flags.is_empty() {
        return Err(Error::unsupported("linux.personality.flags are not supported"));
    }
    match personality.domain.as_str() {
        "LINUX" => Ok(Some(0)),
        "LINUX32" => Ok(Some(8)),
        domain => Err(Error::invalid(format!("linux.personality.domain: {domain:?} is not known"))),
    }
}

fn absolute(paths: &[PathBuf], what: &str) -> Result<Vec<PathBuf>> {
    match paths.iter().find(|path| !path.is_absolute()) {
        Some(path) => Err(Error::invalid(format!("{what}: {} is not absolute", path.display()))),
        None => Ok(paths.to_vec()),
    }
}

/// Only settings that belong to a namespace of the container: all others are the host's.
fn sysctls(
    sysctls: &BTreeMap<String, String>,
    namespaces: &NamespacePlan,
) -> Result<Vec<(String, String)>> {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let mut files = Vec::with_capacity(sysctls.len());
    for (name, value) in sysctls {
        // Both ways to write a name are in use: one of them has the names of interfaces with dots.
        let path = if name.contains('/') { name.clone() } else { name.replace('.', "/") };
        let dotted = path.replace('/', ".");
        let is_own = if IPC.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.") {
            namespaces.has_ipc()
        } else if dotted.starts_with("net.") {
            namespaces.has_network()
        } else if dotted == "kernel.domainname" || dotted == "kernel.hostname" {
            namespaces.has_uts()
        } else {
            dotted.starts_with("user.") && namespaces.has_user()
        };
        let is_plain =
            Path::new(&path).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_own || !is_plain {
            return Err(Error::invalid(format!(
                "linux.sysctl: {name} is not in a namespace of the container, so it would be set for the host"
            )));
        }
        files.push((path, value.clone()));
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
