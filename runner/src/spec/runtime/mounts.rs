//! What is mounted: docker's own, and over it what was asked for.

use std::path::Path;

use serde_json::{Value, json};

use super::super::{HostConfig, IpcMode, MountKind, MountPoint, PidMode, Propagation, SpecError};
use super::{INIT, SpecInput};

/// Every container has these: where, of which type, from what, how.
const DEFAULT: [(&str, &str, &str, &[&str]); 7] = [
    ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
    ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    ),
    ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
    ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777"]),
];

/// These stay writable in a container whose root is not.
const WRITABLE: [&str; 5] = ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"];

/// All of them, in the order in which they are mounted.
pub(super) struct Mounts {
    pub(super) mounts: Vec<Value>,
    /// What the container's root has to be for mounts of the host's to reach one of them.
    pub(super) root_propagation: Option<&'static str>,
}

pub(super) fn mounts(input: &SpecInput<'_>) -> Result<Mounts, SpecError> {
    let own = own(input);
    let mut wanted: Vec<(&str, Value)> = Vec::with_capacity(input.mounts.len() + own.len());
    for point in input.mounts {
        wanted.push((&point.destination, mount(point)?));
    }
    let is_wanted = |place: &str| input.mounts.iter().any(|point| point.destination == place);
    wanted.extend(own.into_iter().filter(|(place, _)| !is_wanted(place)));
    // What is mounted over a part of another comes after it.
    wanted.sort_by_key(|(place, _)| Path::new(place).components().count());

    let mut mounts =
        defaults(input.host_config, &|place| wanted.iter().any(|(wanted, _)| *wanted == place));
    mounts.extend(wanted.into_iter().map(|(_, mount)| mount));
    if let Some(init) = init(input) {
        mounts.push(init);
    }
    Ok(Mounts { mounts, root_propagation: root_propagation(input.mounts) })
}

/// Those that nobody wants to have otherwise.
fn defaults(host_config: &HostConfig, is_wanted: &dyn Fn(&str) -> bool) -> Vec<Value> {
    let is_left_out = |place: &str| {
        is_wanted(place)
            || (place.starts_with("/dev/") && is_wanted("/dev"))
            || (place == "/dev/shm" && host_config.ipc_mode == IpcMode::None)
    };
    let defaults = DEFAULT.iter().filter(|(place, ..)| !is_left_out(place));
    let mounts = defaults.map(|&(place, kind, source, options)| {
        let mut options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        if host_config.privileged && matches!(place, "/sys" | "/sys/fs/cgroup") {
            options.retain(|option| option != "ro");
        } else if host_config.readonly_rootfs
            && !WRITABLE.contains(&place)
            && options.iter().all(|option| option != "ro")
        {
            options.push("ro".to_owned());
        }
        if place == "/dev/shm" {
            options.push(format!("size={}", host_config.shm_size));
        }
        json!({"destination": place, "type": kind, "source": source, "options": options})
    });
    mounts.collect()
}

/// The engine's own files.
fn own<'spec>(input: &SpecInput<'spec>) -> Vec<(&'spec str, Value)> {
    let files = input.files;
    let host_shm = (input.host_config.ipc_mode == IpcMode::Host).then(|| Path::new("/dev/shm"));
    let shm = files.shm.as_deref().or(host_shm);
    let read_only = input.host_config.readonly_rootfs;
    [
        ("/etc/resolv.conf", files.resolv_conf.as_deref(), read_only),
        ("/etc/hostname", files.hostname.as_deref(), read_only),
        ("/etc/hosts", files.hosts.as_deref(), read_only),
        ("/dev/shm", shm, false),
    ]
    .into_iter()
    .filter_map(|(place, source, read_only)| {
        let mut options = vec!["rbind"];
        if read_only {
            options.push("rro");
        }
        options.push("rprivate");
        Some((
            place,
            json!({"destination": place, "type": "bind", "source": source?, "options": options}),
        ))
    })
    .collect()
}

fn init(input: &SpecInput<'_>) -> Option<Value> {
    let is_wanted = input.host_config.init == Some(true);
    let program = input.files.init.as_ref()?;
    (is_wanted && input.host_config.pid_mode == PidMode::Private).then(|| {
        json!({
            "destination": INIT, "type": "bind", "source": program, "options": ["bind", "ro"],
        })
    })
}

fn mount(point: &MountPoint) -> Result<Value, SpecError> {
    if point.kind == MountKind::Tmpfs {
        let mut options = point.details.tmpfs.clone();
        if !point.rw && options.iter().all(|option| option != "ro") {
            options.push("ro".to_owned());
        }
        return Ok(json!({
            "destination": point.destination, "type": "tmpfs", "source": "tmpfs", "options": options,
        }));
    }
    if let Some(device) = point.details.device() {
        return Ok(from_device(point, device));
    }
    if point.source.is_empty() {
        return Err(SpecError::invalid(format!(
            "invalid mount config for {}: it has no source",
            point.destination
        )));
    }
    let mut options = vec![if point.details.non_recursive { "bind" } else { "rbind" }];
    if !point.rw {
        options.push(if point.details.read_only_non_recursive { "ro" } else { "rro" });
    }
    if point.propagation != Propagation::Default {
        options.push(point.propagation.as_str());
    }
    Ok(json!({
        "destination": point.destination, "type": "bind", "source": point.source, "options": options,
    }))
}

/// A volume that is a file system of its own: mounted in the container alone, so nothing of it is left
/// on the host when the container has ended.
fn from_device(point: &MountPoint, device: &str) -> Value {
    let option = |name| point.details.driver_options.get(name).map_or("", String::as_str);
    let mut options: Vec<&str> = option("o").split(',').filter(|it| !it.is_empty()).collect();
    if !point.rw {
        options.push("ro");
    }
    let kind = match option("type") {
        "" => "none",
        kind => kind,
    };
    json!({
        "destination": point.destination, "type": kind, "source": device, "options": options,
    })
}

fn root_propagation(points: &[MountPoint]) -> Option<&'static str> {
    let has = |some: &[Propagation]| points.iter().any(|point| some.contains(&point.propagation));
    if has(&[Propagation::Shared, Propagation::Rshared]) {
        Some("shared")
    } else if has(&[Propagation::Slave, Propagation::Rslave]) {
        Some("rslave")
    } else {
        None
    }
}
