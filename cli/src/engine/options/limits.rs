//! What a container may use of the machine.

use berth_runner::spec::{HostConfig, ThrottleDevice, Ulimit, WeightDevice, parse};
use clap::Args;

/// Options of resources.
#[derive(Args, Debug)]
pub(super) struct LimitOptions {
    /// Memory limit
    #[arg(long, short, value_name = "BYTES", value_parser = parse::size)]
    memory: Option<i64>,
    /// Memory soft limit
    #[arg(long, value_name = "BYTES", value_parser = parse::size)]
    memory_reservation: Option<i64>,
    /// Swap limit equal to memory plus swap: '-1' to enable unlimited swap
    #[arg(long, value_name = "BYTES", value_parser = parse::swap_size, allow_negative_numbers = true)]
    memory_swap: Option<i64>,
    /// Tune container memory swappiness (0 to 100)
    #[arg(long, value_name = "0-100", value_parser = swappiness, allow_negative_numbers = true)]
    memory_swappiness: Option<i64>,
    /// Kernel memory limit (deprecated)
    #[arg(long, hide = true, value_parser = parse::size)]
    kernel_memory: Option<i64>,
    /// Disable OOM Killer
    #[arg(long)]
    oom_kill_disable: bool,
    /// Tune host's OOM preferences (-1000 to 1000)
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    oom_score_adj: Option<i32>,
    /// Number of CPUs
    #[arg(long, value_name = "NUMBER", value_parser = parse::nano_cpus, allow_negative_numbers = true)]
    cpus: Option<i64>,
    /// CPU shares (relative weight)
    #[arg(long, short = 'c', value_name = "NUMBER", allow_negative_numbers = true)]
    cpu_shares: Option<i64>,
    /// Limit CPU CFS (Completely Fair Scheduler) period
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    cpu_period: Option<i64>,
    /// Limit CPU CFS (Completely Fair Scheduler) quota
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// Limit CPU real-time period in microseconds
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    cpu_rt_period: Option<i64>,
    /// Limit CPU real-time runtime in microseconds
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    cpu_rt_runtime: Option<i64>,
    /// CPUs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "SET")]
    cpuset_cpus: Option<String>,
    /// MEMs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "SET")]
    cpuset_mems: Option<String>,
    /// Tune container pids limit (set -1 for unlimited)
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)
    #[arg(long, value_name = "NUMBER")]
    blkio_weight: Option<u16>,
    /// Block IO weight (relative device weight)
    #[arg(long, value_name = "DEVICE:WEIGHT", value_parser = parse::weight)]
    blkio_weight_device: Vec<WeightDevice>,
    /// Limit read rate (bytes per second) from a device
    #[arg(long, value_name = "DEVICE:BYTES", value_parser = parse::byte_rate)]
    device_read_bps: Vec<ThrottleDevice>,
    /// Limit write rate (bytes per second) to a device
    #[arg(long, value_name = "DEVICE:BYTES", value_parser = parse::byte_rate)]
    device_write_bps: Vec<ThrottleDevice>,
    /// Limit read rate (IO per second) from a device
    #[arg(long, value_name = "DEVICE:NUMBER", value_parser = parse::operation_rate)]
    device_read_iops: Vec<ThrottleDevice>,
    /// Limit write rate (IO per second) to a device
    #[arg(long, value_name = "DEVICE:NUMBER", value_parser = parse::operation_rate)]
    device_write_iops: Vec<ThrottleDevice>,
    /// Ulimit options
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = parse::ulimit)]
    ulimit: Vec<Ulimit>,
    /// Optional parent cgroup for the container
    #[arg(long, value_name = "PATH")]
    cgroup_parent: Option<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES", value_parser = parse::size)]
    shm_size: Option<i64>,
}

fn swappiness(text: &str) -> Result<i64, String> {
    let number: i64 = text.parse().map_err(|error| format!("{error}"))?;
    if (-1..=100).contains(&number) {
        Ok(number)
    } else {
        Err(format!("invalid value: {number}. Valid memory swappiness range is 0-100"))
    }
}

impl LimitOptions {
    pub(super) fn apply(self, host: &mut HostConfig) {
        let or_none = Option::unwrap_or_default;
        host.memory = or_none(self.memory);
        host.memory_reservation = or_none(self.memory_reservation);
        host.memory_swap = or_none(self.memory_swap);
        host.memory_swappiness = self.memory_swappiness.filter(|&number| number != -1);
        host.oom_kill_disable = self.oom_kill_disable.then_some(true);
        host.oom_score_adj = self.oom_score_adj.unwrap_or_default();
        host.nano_cpus = or_none(self.cpus);
        host.cpu_shares = or_none(self.cpu_shares);
        host.cpu_period = or_none(self.cpu_period);
        host.cpu_quota = or_none(self.cpu_quota);
        host.cpu_realtime_period = or_none(self.cpu_rt_period);
        host.cpu_realtime_runtime = or_none(self.cpu_rt_runtime);
        host.cpuset_cpus = self.cpuset_cpus.unwrap_or_default();
        host.cpuset_mems = self.cpuset_mems.unwrap_or_default();
        host.pids_limit = self.pids_limit.filter(|&number| number != 0);
        host.blkio_weight = self.blkio_weight.unwrap_or_default();
        host.blkio_weight_device = self.blkio_weight_device;
        host.blkio_device_read_bps = self.device_read_bps;
        host.blkio_device_write_bps = self.device_write_bps;
        host.blkio_device_read_iops = self.device_read_iops;
        host.blkio_device_write_iops = self.device_write_iops;
        // Of two for one limit, the last one counts.
        for limit in self.ulimit {
            host.ulimits.retain(|known| known.name != limit.name);
            host.ulimits.push(limit);
        }
        host.ulimits.sort_by(|one, other| one.name.cmp(&other.name));
        host.cgroup_parent = self.cgroup_parent.unwrap_or_default();
        host.shm_size = or_none(self.shm_size);
        if self.kernel_memory.is_some() {
            eprintln!(
                "Flag --kernel-memory has been deprecated, and no longer supported by the kernel"
            );
        }
    }
}
