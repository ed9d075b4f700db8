//! What was left open is filled in, and what cannot be is refused, in docker's words.

use super::capabilities::capabilities;
use super::parse::numbers;
use super::{
    CgroupnsMode, ContainerConfig, HostConfig, HostFacts, IpcMode, RestartMode, SpecError,
};

/// Of `/dev/shm`.
const SHM_SIZE: i64 = 64 << 20;
/// With less memory a container does not start.
const MIN_MEMORY: i64 = 6 << 20;
const MAX_HOSTNAME: usize = 64;

impl HostConfig {
    /// Fills in the defaults and looks whether all members go together. What is harmless is told as
    /// warnings.
    ///
    /// # Errors
    ///
    /// What is wrong with which member.
    pub fn settle(
        &mut self,
        config: &ContainerConfig,
        host: &HostFacts,
    ) -> Result<Vec<String>, SpecError> {
        let mut warnings = Vec::new();
        check_config(config)?;
        self.fill_in(host);
        self.check_memory(&mut warnings)?;
        self.check_processors()?;
        self.check_block_io(&mut warnings)?;
        self.check_rest()?;
        capabilities(self, host.capabilities)?;
        if self.network_mode == "host" && !self.port_bindings.is_empty() {
            warnings.push("Published ports are discarded when using host network mode".to_owned());
        }
        Ok(warnings)
    }

    fn fill_in(&mut self, host: &HostFacts) {
        if self.memory > 0 && self.memory_swap == 0 {
            self.memory_swap = self.memory.saturating_mul(2);
        }
        if self.shm_size == 0 {
            self.shm_size = SHM_SIZE;
        }
        if self.ipc_mode == IpcMode::Default {
            self.ipc_mode = IpcMode::Private;
        }
        if self.cgroupns_mode == CgroupnsMode::Default {
            self.cgroupns_mode =
                if host.unified_cgroups { CgroupnsMode::Private } else { CgroupnsMode::Host };
        }
        if matches!(self.network_mode.as_str(), "" | "default") {
            "bridge".clone_into(&mut self.network_mode);
        }
        if self.memory_swappiness == Some(-1) {
            self.memory_swappiness = None;
        }
        if self.pids_limit.is_some_and(|limit| limit <= 0) {
            self.pids_limit = None;
        }
        self.oom_kill_disable.get_or_insert(false);
        // Version 2 has neither.
        if host.unified_cgroups {
            self.memory_swappiness = None;
            self.oom_kill_disable = None;
        }
        if !self.privileged {
            let list = |paths: &[&str]| paths.iter().map(|&path| path.to_owned()).collect();
            self.masked_paths.get_or_insert_with(|| list(&super::runtime::MASKED_PATHS));
            self.readonly_paths.get_or_insert_with(|| list(&super::runtime::READONLY_PATHS));
        }
    }

    fn check_memory(&mut self, warnings: &mut Vec<String>) -> Result<(), SpecError> {
        let refuse = |what: &str| Err(SpecError::invalid(what));
        if self.memory != 0 && self.memory < MIN_MEMORY {
            return refuse("Minimum memory limit allowed is 6MB");
        }
        if self.memory > 0 && self.memory_swap > 0 && self.memory_swap < self.memory {
            return refuse(
                "Minimum memoryswap limit should be larger than memory limit, see usage",
            );
        }
        if self.memory == 0 && self.memory_swap > 0 {
            return refuse(
                "You should always set the Memory limit when using Memoryswap limit, see usage",
            );
        }
        if let Some(swappiness) = self.memory_swappiness.filter(|it| !(0..=100).contains(it)) {
            return Err(SpecError::invalid(format!(
                "Invalid value: {swappiness}, valid memory swappiness range is 0-100"
            )));
        }
        if self.memory_reservation > 0 && self.memory_reservation < MIN_MEMORY {
            return refuse("Minimum memory reservation allowed is 6MB");
        }
        if self.memory > 0 && self.memory < self.memory_reservation {
            return refuse(
                "Minimum memory limit can not be less than memory reservation limit, see usage",
            );
        }
        if self.oom_kill_disable == Some(true) && self.memory == 0 {
            warnings.push(
                "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources."
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn check_processors(&self) -> Result<(), SpecError> {
        let refuse = |what: &str| Err(SpecError::invalid(what));
        if self.nano_cpus > 0 && self.cpu_period > 0 {
            return refuse("Conflicting options: Nano CPUs and CPU Period cannot both be set");
        }
        if self.nano_cpus > 0 && self.cpu_quota > 0 {
            return refuse("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
        }
        if self.nano_cpus != 0 {
            let processors = HostFacts::processors();
            let most = i64::try_from(processors).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
            if self.nano_cpus < 0 || self.nano_cpus > most {
                return Err(SpecError::invalid(format!(
                    "range of CPUs is from 0.01 to {processors}.00, as there are only {processors} CPUs available"
                )));
            }
        }
        if self.cpu_shares < 0 {
            return Err(SpecError::invalid(format!(
                "invalid CPU shares ({}): value must be a positive integer",
                self.cpu_shares
            )));
        }
        if self.cpu_period != 0 && !(1_000..=1_000_000).contains(&self.cpu_period) {
            return refuse(
                "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
            );
        }
        if self.cpu_quota > 0 && self.cpu_quota < 1_000 {
            return refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)");
        }
        check_set(&self.cpuset_cpus, "cpus", "CPUs", HostFacts::online_processors)?;
        check_set(&self.cpuset_mems, "mems", "memory nodes", HostFacts::online_nodes)
    }

    fn check_block_io(&mut self, warnings: &mut Vec<String>) -> Result<(), SpecError> {
        if self.blkio_weight == 0 {
            return Ok(());
        }
        if !(10..=1000).contains(&self.blkio_weight) {
            return Err(SpecError::invalid("Range of blkio weight is from 10 to 1000"));
        }
        if !HostFacts::weighs_block_io() {
            self.blkio_weight = 0;
            warnings.push(
                "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn check_rest(&self) -> Result<(), SpecError> {
        let refuse = |what: &str| Err(SpecError::invalid(what));
        if self.shm_size < 0 {
            return refuse("SHM size can not be less than 0");
        }
        if !(-1000..=1000).contains(&self.oom_score_adj) {
            return Err(SpecError::invalid(format!(
                "Invalid value {}, range for oom score adj is [-1000, 1000]",
                self.oom_score_adj
            )));
        }
        if self.auto_remove && self.restart_policy.name != RestartMode::No {
            return refuse("can't create 'AutoRemove' container with restart policy");
        }
        let retries = self.restart_policy.maximum_retry_count;
        if retries < 0 {
            return refuse("invalid restart policy: maximum retry count cannot be negative");
        }
        if retries != 0 && self.restart_policy.name != RestartMode::OnFailure {
            return refuse(
                "invalid restart policy: maximum retry count can only be used with 'on-failure'",
            );
        }
        if !self.device_requests.is_empty() {
            return Err(SpecError::unsupported(
                "could not select device driver: devices are given by --device only",
            ));
        }
        if !self.volumes_from.is_empty() {
            return Err(SpecError::unsupported("--volumes-from is not supported yet"));
        }
        if !self.links.is_empty() {
            return Err(SpecError::unsupported("--link is not supported yet"));
        }
        if !matches!(self.volume_driver.as_str(), "" | "local") {
            return Err(SpecError::unsupported(format!(
                "error looking up volume plugin {}: plugin \"{}\" not found",
                self.volume_driver, self.volume_driver
            )));
        }
        for place in self.tmpfs.keys() {
            super::parse::check_destination(place)?;
        }
        self.check_sysctls()
    }

    /// Settings of the host's own namespaces are the host's matter.
    fn check_sysctls(&self) -> Result<(), SpecError> {
        for name in self.sysctls.keys() {
            let dotted = name.replace('/', ".");
            let (is_host, option) = if dotted.starts_with("net.") {
                (self.network_mode == "host", "host network")
            } else if dotted == "kernel.hostname" || dotted == "kernel.domainname" {
                (self.uts_mode == super::UtsMode::Host, "host uts")
            } else {
                (self.ipc_mode == IpcMode::Host, "host ipc")
            };
            if is_host {
                return Err(SpecError::invalid(format!(
                    "sysctl {name:?} not allowed in {option} namespace"
                )));
            }
        }
        Ok(())
    }
}

fn check_config(config: &ContainerConfig) -> Result<(), SpecError> {
    if config.hostname.len() > MAX_HOSTNAME {
        return Err(SpecError::invalid(format!(
            "hostname {:?} is too long (maximum {MAX_HOSTNAME} bytes)",
            config.hostname
        )));
    }
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return Err(SpecError::invalid(format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            config.working_dir
        )));
    }
    if config.env.iter().any(|pair| pair.is_empty() || pair.starts_with('=')) {
        return Err(SpecError::invalid("invalid environment variable: the name is missing"));
    }
    Ok(())
}

/// Whether all that a set as in `0-3,7` names is there.
fn check_set(
    wanted: &str,
    short: &str,
    long: &str,
    available: fn() -> String,
) -> Result<(), SpecError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let members = numbers(wanted)
        .ok_or_else(|| SpecError::invalid(format!("Invalid value {wanted} for cpuset {short}")))?;
    let available = available();
    if numbers(&available).is_some_and(|there| members.is_subset(&there)) {
        return Ok(());
    }
    Err(SpecError::invalid(format!(
        "Requested {long} are not available - requested {wanted}, available: {available}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(config: HostConfig) -> Result<(HostConfig, Vec<String>), String> {
        let mut config = config;
        let host = HostFacts { capabilities: (1 << 41) - 1, ..HostFacts::default() };
        let warnings = config.settle(&ContainerConfig::default(), &host);
        warnings.map(|warnings| (config, warnings)).map_err(|error| error.to_string())
    }

    fn plain() -> HostConfig {
        HostConfig::default()
    }

    #[test]
    fn what_was_left_open_is_filled_in() {
        let (config, warnings) =
            settled(HostConfig { memory: 64 << 20, pids_limit: Some(-1), ..plain() }).unwrap();
        assert_eq!(config.memory_swap, 128 << 20);
        assert_eq!((config.shm_size, config.pids_limit), (64 << 20, None));
        assert_eq!((config.ipc_mode, config.network_mode.as_str()), (IpcMode::Private, "bridge"));
        assert_eq!(config.cgroupns_mode, CgroupnsMode::Host);
        assert_eq!(config.masked_paths.unwrap().len(), 12);
        assert_eq!(warnings, [""; 0]);
    }

    #[test]
    fn what_was_said_stays() {
        let said = HostConfig {
            memory: 64 << 20,
            memory_swap: -1,
            shm_size: 1,
            masked_paths: Some(Vec::new()),
            ..plain()
        };
        let (config, _) = settled(said).unwrap();
        assert_eq!((config.memory_swap, config.shm_size), (-1, 1));
        assert_eq!(config.masked_paths, Some(Vec::new()));
    }

    #[test]
    fn what_does_not_go_together_is_refused_as_docker_refuses_it() {
        let mebi = 1 << 20;
        for (config, words) in [
            (HostConfig { memory: mebi, ..plain() }, "Minimum memory limit allowed is 6MB"),
            (HostConfig { memory: -1, ..plain() }, "Minimum memory limit allowed is 6MB"),
            (
                HostConfig { memory: 64 * mebi, memory_swap: 32 * mebi, ..plain() },
                "Minimum memoryswap limit should be larger than memory limit, see usage",
            ),
            (
                HostConfig { memory_swap: 64 * mebi, ..plain() },
                "You should always set the Memory limit when using Memoryswap limit, see usage",
            ),
            (
                HostConfig { memory: 8 * mebi, memory_reservation: 9 * mebi, ..plain() },
                "Minimum memory limit can not be less than memory reservation limit, see usage",
            ),
            (
                HostConfig { memory_reservation: mebi, ..plain() },
                "Minimum memory reservation allowed is 6MB",
            ),
            (
                HostConfig { memory_swappiness: Some(101), ..plain() },
                "Invalid value: 101, valid memory swappiness range is 0-100",
            ),
            (
                HostConfig { nano_cpus: 1, cpu_period: 1000, ..plain() },
                "Conflicting options: Nano CPUs and CPU Period cannot both be set",
            ),
            (
                HostConfig { nano_cpus: 1, cpu_quota: 1000, ..plain() },
                "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
            ),
            (HostConfig { nano_cpus: i64::MAX, ..plain() }, "range of CPUs is from 0.01 to "),
            (HostConfig { cpu_quota: 999, ..plain() }, "CPU cfs quota can not be less than 1ms"),
            (HostConfig { cpu_period: 999, ..plain() }, "CPU cfs period can not be less than 1ms"),
            (HostConfig { cpu_shares: -1, ..plain() }, "invalid CPU shares (-1)"),
            (
                HostConfig { cpuset_cpus: "0-8000".to_owned(), ..plain() },
                "Requested CPUs are not available - requested 0-8000, available: 0",
            ),
            (
                HostConfig { cpuset_cpus: "first".to_owned(), ..plain() },
                "Invalid value first for cpuset cpus",
            ),
            (HostConfig { blkio_weight: 9, ..plain() }, "Range of blkio weight is from 10 to 1000"),
            (HostConfig { shm_size: -1, ..plain() }, "SHM size can not be less than 0"),
            (
                HostConfig { oom_score_adj: 1001, ..plain() },
                "Invalid value 1001, range for oom score adj is [-1000, 1000]",
            ),
            (
                HostConfig {
                    sysctls: [("net.core.somaxconn".to_owned(), "1".to_owned())].into(),
                    network_mode: "host".to_owned(),
                    ..plain()
                },
                "sysctl \"net.core.somaxconn\" not allowed in host network namespace",
            ),
            (
                HostConfig { tmpfs: [("run".to_owned(), String::new())].into(), ..plain() },
                "invalid mount path: 'run' mount path must be absolute",
            ),
        ] {
            let error = settled(config).unwrap_err();
            assert!(error.starts_with(words), "{error}");
        }
    }

    #[test]
    fn what_is_harmless_is_told() {
        let config = HostConfig {
            oom_kill_disable: Some(true),
            network_mode: "host".to_owned(),
            port_bindings: [("80/tcp".to_owned(), None)].into(),
            ..plain()
        };
        let (_, warnings) = settled(config).unwrap();
        assert!(warnings[0].starts_with("OOM killer is disabled for the container"));
        assert_eq!(warnings[1], "Published ports are discarded when using host network mode");
    }
}
