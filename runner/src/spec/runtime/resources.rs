//! What a container may use of the machine.

use rustix::fs::{FileType, major, minor, stat};
use serde_json::{Map, Value, json};

use super::super::{HostConfig, SpecError, ThrottleDevice};

/// Microseconds, of which `--cpus` is a share.
const PERIOD: i64 = 100_000;

pub(super) fn resources(
    host_config: &HostConfig,
    device_rules: Vec<Value>,
) -> Result<Value, SpecError> {
    let mut resources = Map::new();
    resources.insert("devices".to_owned(), device_rules.into());
    for (name, value) in [
        ("memory", memory(host_config)),
        ("cpu", cpu(host_config)),
        ("blockIO", block_io(host_config)?),
    ] {
        if !value.is_empty() {
            resources.insert(name.to_owned(), value.into());
        }
    }
    if let Some(limit) = host_config.pids_limit {
        let limit = if limit <= 0 { -1 } else { limit };
        resources.insert("pids".to_owned(), json!({"limit": limit}));
    }
    Ok(resources.into())
}

fn memory(host_config: &HostConfig) -> Map<String, Value> {
    let positive = |number: i64| (number > 0).then(|| number.into());
    members([
        ("limit", positive(host_config.memory)),
        ("reservation", positive(host_config.memory_reservation)),
        // -1 is no limit, as there is none unless it is set.
        ("swap", positive(host_config.memory_swap)),
        ("swappiness", host_config.memory_swappiness.map(Value::from)),
        ("disableOOMKiller", host_config.oom_kill_disable.filter(|&it| it).map(Value::from)),
    ])
}

fn cpu(host_config: &HostConfig) -> Map<String, Value> {
    let is_set = |number: i64| (number != 0).then(|| number.into());
    let text = |text: &str| (!text.is_empty()).then(|| text.into());
    let (period, quota) = if host_config.nano_cpus > 0 {
        // Below 2^63: settled at as many processors as there are.
        let quota = i128::from(host_config.nano_cpus) * i128::from(PERIOD) / 1_000_000_000;
        (PERIOD, i64::try_from(quota).unwrap_or(i64::MAX))
    } else {
        (host_config.cpu_period, host_config.cpu_quota)
    };
    members([
        ("shares", is_set(host_config.cpu_shares)),
        ("period", is_set(period)),
        ("quota", is_set(quota)),
        ("realtimePeriod", is_set(host_config.cpu_realtime_period)),
        ("realtimeRuntime", is_set(host_config.cpu_realtime_runtime)),
        ("cpus", text(&host_config.cpuset_cpus)),
        ("mems", text(&host_config.cpuset_mems)),
    ])
}

fn block_io(host_config: &HostConfig) -> Result<Map<String, Value>, SpecError> {
    let mut block_io = Map::new();
    if host_config.blkio_weight != 0 {
        block_io.insert("weight".to_owned(), host_config.blkio_weight.into());
    }
    let mut weights = Vec::new();
    for device in &host_config.blkio_weight_device {
        let (major, minor) = number(&device.path)?;
        weights.push(json!({"major": major, "minor": minor, "weight": device.weight}));
    }
    for (name, rates) in [
        ("weightDevice", weights),
        ("throttleReadBpsDevice", throttles(&host_config.blkio_device_read_bps)?),
        ("throttleWriteBpsDevice", throttles(&host_config.blkio_device_write_bps)?),
        ("throttleReadIOPSDevice", throttles(&host_config.blkio_device_read_iops)?),
        ("throttleWriteIOPSDevice", throttles(&host_config.blkio_device_write_iops)?),
    ] {
        if !rates.is_empty() {
            block_io.insert(name.to_owned(), rates.into());
        }
    }
    Ok(block_io)
}

fn throttles(devices: &[ThrottleDevice]) -> Result<Vec<Value>, SpecError> {
    let throttle = |device: &ThrottleDevice| {
        let (major, minor) = number(&device.path)?;
        Ok(json!({"major": major, "minor": minor, "rate": device.rate}))
    };
    devices.iter().map(throttle).collect()
}

/// Of a block device of the host.
fn number(path: &str) -> Result<(u32, u32), SpecError> {
    let found = stat(path)
        .map_err(|source| SpecError::File { path: path.into(), source: source.into() })?;
    if FileType::from_raw_mode(found.st_mode) != FileType::BlockDevice {
        return Err(SpecError::invalid(format!("{path}: not a block device")));
    }
    Ok((major(found.st_rdev), minor(found.st_rdev)))
}

fn members<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    let set = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    set.collect()
}
