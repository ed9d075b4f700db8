//! What a container is allowed to do.

use std::fs;

use anyhow::{Context as _, Result, bail};
use berth_runner::spec::{CgroupnsMode, DeviceMapping, HostConfig, IpcMode, UsernsMode, parse};
use clap::Args;

/// Options of rights and devices.
#[derive(Args, Debug)]
pub(super) struct SecurityOptions {
    /// Add Linux capabilities
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<String>,
    /// Drop Linux capabilities
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<String>,
    /// Give extended privileges to this container
    #[arg(long)]
    privileged: bool,
    /// Security Options
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
    /// Add a host device to the container
    #[arg(long, value_name = "HOST[:CONTAINER[:rwm]]", value_parser = parse::device_mapping)]
    device: Vec<DeviceMapping>,
    /// Add a rule to the cgroup allowed devices list
    #[arg(long, value_name = "RULE", value_parser = parse::device_rule)]
    device_cgroup_rule: Vec<String>,
    /// GPU devices to add to the container ('all' to pass all GPUs)
    #[arg(long, hide = true)]
    gpus: Option<String>,
    /// Sysctl options
    #[arg(long, value_name = "NAME=VALUE", value_parser = sysctl)]
    sysctl: Vec<(String, String)>,
    /// User namespace to use
    #[arg(long, value_name = "MODE", value_parser = userns)]
    userns: Option<UsernsMode>,
    /// Cgroup namespace to use (host|private)
    #[arg(long, value_name = "MODE", value_parser = cgroupns)]
    cgroupns: Option<CgroupnsMode>,
    /// IPC mode to use
    #[arg(long, value_name = "MODE")]
    ipc: Option<IpcMode>,
}

fn userns(text: &str) -> Result<UsernsMode, &'static str> {
    text.parse().map_err(|_| "invalid USER mode")
}

fn cgroupns(text: &str) -> Result<CgroupnsMode, &'static str> {
    text.parse().map_err(|_| "invalid CGROUP mode")
}

/// Only settings that a container has of its own.
fn sysctl(text: &str) -> Result<(String, String), String> {
    const OWN: [&str; 10] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "kernel.domainname",
        "kernel.hostname",
    ];
    let refused = || format!("sysctl '{text}' is not allowed");
    let (name, value) = text.split_once('=').ok_or_else(refused)?;
    let is_own = OWN.contains(&name) || name.starts_with("net.") || name.starts_with("fs.mqueue.");
    if is_own { Ok((name.to_owned(), value.to_owned())) } else { Err(refused()) }
}

impl SecurityOptions {
    pub(super) fn apply(self, host: &mut HostConfig) -> Result<()> {
        if self.gpus.is_some() {
            bail!("could not select device driver \"\" with capabilities: [[gpu]]");
        }
        host.cap_add = self.cap_add;
        host.cap_drop = self.cap_drop;
        host.privileged = self.privileged;
        for option in self.security_opt {
            if option == "systempaths=unconfined" {
                host.masked_paths = Some(Vec::new());
                host.readonly_paths = Some(Vec::new());
            } else {
                host.security_opt.push(security_option(option)?);
            }
        }
        host.devices = self.device;
        host.device_cgroup_rules = self.device_cgroup_rule;
        host.sysctls = self.sysctl.into_iter().collect();
        host.userns_mode = self.userns.unwrap_or_default();
        host.cgroupns_mode = self.cgroupns.unwrap_or_default();
        host.ipc_mode = self.ipc.unwrap_or_default();
        Ok(())
    }
}

/// A profile is kept as it was when the container was made, and not as the name of a file.
fn security_option(option: String) -> Result<String> {
    if option == "no-new-privileges" {
        return Ok(option);
    }
    let parts = option.split_once('=').or_else(|| option.split_once(':'));
    let Some((key, value)) = parts.filter(|(_, value)| !value.is_empty()) else {
        bail!("invalid --security-opt: {option:?}");
    };
    if key != "seccomp" || matches!(value, "builtin" | "unconfined") {
        return Ok(option);
    }
    let text = fs::read(value).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.split(" (os error").next().unwrap_or_default().to_lowercase();
        anyhow::anyhow!("opening seccomp profile ({value}) failed: open {value}: {reason}")
    })?;
    let profile: serde_json::Value = serde_json::from_slice(&text)
        .with_context(|| format!("compacting json for seccomp profile ({value}) failed"))?;
    Ok(format!("seccomp={profile}"))
}
