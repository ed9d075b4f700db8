//! Whether a configuration makes sense, asked without a host.

use std::path::Path;

use super::cgroups::Layout;
use super::config::Config;
use super::config::seccomp::Seccomp;
use super::plan::{Host, Plan};
use super::seccomp::Filter;
use super::{Error, Result};

/// Plans a container after `config`, a `config.json`, on a host that can do everything; nothing is
/// made, and nothing is looked at.
///
/// # Errors
///
/// Why the runtime would refuse it, in words.
pub fn check_configuration(config: &[u8]) -> Result<(), String> {
    let host = Host {
        cgroups: Layout::without_controllers(),
        capabilities: u64::MAX,
        apparmor: true,
        selinux: true,
    };
    let plan = || {
        let config = Config::parse(config)?;
        Plan::new(&config, Path::new("/bundle"), &"check".parse()?, &host)
    };
    plan().map(drop).map_err(|error: Error| error.to_string())
}

/// Compiles `seccomp`, which is as `linux.seccomp` is in a `config.json`: how many instructions it has.
///
/// # Errors
///
/// Why the runtime would refuse it, in words.
pub fn check_seccomp(seccomp: &[u8]) -> Result<usize, String> {
    let seccomp: Seccomp = serde_json::from_slice(seccomp).map_err(|error| error.to_string())?;
    let filter = Filter::compile(&seccomp).map_err(|error| error.to_string())?;
    Ok(filter.program.len())
}
