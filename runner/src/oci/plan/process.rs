//! The process: what is executed, as whom, and with which rights.

use std::ffi::CString;
use std::path::PathBuf;

use rustix::process::{Resource, Rlimit};

use super::super::config::process::{ConsoleSize, Process};
use super::super::config::seccomp::Seccomp;
use super::super::seccomp::Filter;
use super::super::{Error, Result};
use super::{CapabilityPlan, Host};

/// All of it; an `exec` has one, too.
#[derive(Debug)]
pub(in crate::oci) struct ProcessPlan {
    /// At least one.
    pub(in crate::oci) args: Vec<CString>,
    pub(in crate::oci) env: Vec<CString>,
    pub(in crate::oci) cwd: PathBuf,
    pub(in crate::oci) uid: u32,
    pub(in crate::oci) gid: u32,
    pub(in crate::oci) groups: Vec<u32>,
    pub(in crate::oci) umask: Option<u32>,
    pub(in crate::oci) capabilities: CapabilityPlan,
    pub(in crate::oci) rlimits: Vec<(Resource, Rlimit)>,
    pub(in crate::oci) no_new_privileges: bool,
    pub(in crate::oci) oom_score_adj: Option<i32>,
    pub(in crate::oci) terminal: bool,
    pub(in crate::oci) console_size: Option<ConsoleSize>,
    pub(in crate::oci) seccomp: Option<Filter>,
    pub(in crate::oci) apparmor_profile: Option<String>,
    pub(in crate::oci) selinux_label: Option<String>,
    pub(in crate::oci) personality: Option<u64>,
}

impl ProcessPlan {
    pub(in crate::oci) fn new(
        process: &Process,
        seccomp: Option<&Seccomp>,
        host: &Host,
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        refuse_unknown(process, host)?;
        if process.args.is_empty() {
            return Err(Error::invalid("process.args is empty: there is nothing to execute"));
        }
        if !process.cwd.is_absolute() {
            return Err(Error::invalid(format!(
                "process.cwd: {:?} is not absolute",
                process.cwd.display().to_string()
            )));
        }
        for (name, id) in [("uid", process.user.uid), ("gid", process.user.gid)] {
            if id == u32::MAX {
                return Err(Error::invalid(format!(
                    "process.user.{name}: {id} is nobody's number"
                )));
            }
        }
        let names = process.capabilities.clone().unwrap_or_default();
        let label = |label: &str| (!label.is_empty()).then(|| label.to_owned());
        Ok(Self {
            args: c_strings(&process.args, "process.args")?,
            env: c_strings(&process.env, "process.env")?,
            cwd: process.cwd.clone(),
            uid: process.user.uid,
            gid: process.user.gid,
            groups: process.user.additional_gids.clone(),
            umask: process.user.umask,
            capabilities: CapabilityPlan::new(&names, host.capabilities, warnings),
            rlimits: rlimits(process)?,
            no_new_privileges: process.no_new_privileges,
            oom_score_adj: process.oom_score_adj,
            terminal: process.terminal,
            console_size: process.console_size,
            seccomp: seccomp.map(Filter::compile).transpose()?,
            apparmor_profile: label(&process.apparmor_profile),
            selinux_label: label(&process.selinux_label),
            personality: None,
        })
    }

    /// What was asked for as `name` in its environment.
    pub(in crate::oci) fn variable(&self, name: &str) -> Option<&[u8]> {
        self.env
            .iter()
            .find_map(|pair| pair.to_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }
}

fn refuse_unknown(process: &Process, host: &Host) -> Result<()> {
    for (there, what) in [
        (process.scheduler.is_some(), "process.scheduler is not supported"),
        (process.io_priority.is_some(), "process.ioPriority is not supported"),
        (process.exec_cpu_affinity.is_some(), "process.execCPUAffinity is not supported"),
        (
            !process.apparmor_profile.is_empty() && !host.apparmor,
            "process.apparmorProfile: AppArmor is not enabled on this host",
        ),
        (
            !process.selinux_label.is_empty() && !host.selinux,
            "process.selinuxLabel: SELinux is not enabled on this host",
        ),
    ] {
        if there {
            return Err(Error::unsupported(what));
        }
    }
    Ok(())
}

fn c_strings(strings: &[String], what: &str) -> Result<Vec<CString>> {
    let c_string = |string: &String| {
        CString::new(string.as_str())
            .map_err(|_| Error::invalid(format!("{what}: {string:?} has a zero byte in it")))
    };
    strings.iter().map(c_string).collect()
}

fn rlimits(process: &Process) -> Result<Vec<(Resource, Rlimit)>> {
    // The greatest number stands for none.
    let limit = |limit: u64| (limit != u64::MAX).then_some(limit);
    let mut limits: Vec<(Resource, Rlimit)> = Vec::new();
    for rlimit in &process.rlimits {
        let resource = resource(&rlimit.kind).ok_or_else(|| {
            Error::invalid(format!("process.rlimits: {:?} is no limit", rlimit.kind))
        })?;
        if limits.iter().any(|(known, _)| *known == resource) {
            return Err(Error::invalid(format!("process.rlimits: {} is there twice", rlimit.kind)));
        }
        if rlimit.soft > rlimit.hard {
            return Err(Error::invalid(format!(
                "process.rlimits: the soft {} is above the hard one",
                rlimit.kind
            )));
        }
        let limit = Rlimit { current: limit(rlimit.soft), maximum: limit(rlimit.hard) };
        limits.push((resource, limit));
    }
    Ok(limits)
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "RLIMIT_AS" => Resource::As,
        "RLIMIT_CORE" => Resource::Core,
        "RLIMIT_CPU" => Resource::Cpu,
        "RLIMIT_DATA" => Resource::Data,
        "RLIMIT_FSIZE" => Resource::Fsize,
        "RLIMIT_LOCKS" => Resource::Locks,
        "RLIMIT_MEMLOCK" => Resource::Memlock,
        "RLIMIT_MSGQUEUE" => Resource::Msgqueue,
        "RLIMIT_NICE" => Resource::Nice,
        "RLIMIT_NOFILE" => Resource::Nofile,
        "RLIMIT_NPROC" => Resource::Nproc,
        "RLIMIT_RSS" => Resource::Rss,
        "RLIMIT_RTPRIO" => Resource::Rtprio,
        "RLIMIT_RTTIME" => Resource::Rttime,
        "RLIMIT_SIGPENDING" => Resource::Sigpending,
        "RLIMIT_STACK" => Resource::Stack,
        _ => return None,
    })
}
