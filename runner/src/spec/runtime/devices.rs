//! Devices: those that every container may use, those of `--device`, and all of them.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat, lstat, major, minor, stat};
use serde_json::{Value, json};

use super::super::error::words;
use super::super::{HostConfig, SpecError};

/// Character devices that a container may use in every way: zero, null, urandom, random, tty,
/// console.
const ALLOWED: [(u32, u32); 6] = [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)];
/// FUSE, which needs to be asked for.
const DENIED: (u32, u32) = (10, 229);

/// Nodes to be made, and rules of what may be used.
pub(super) fn devices(host_config: &HostConfig) -> Result<(Vec<Value>, Vec<Value>), SpecError> {
    let mut nodes = Vec::new();
    if host_config.privileged {
        walk(Path::new("/dev"), &mut |path, found| nodes.push(node(path, found)));
        for mapping in &host_config.devices {
            if mapping.path_on_host != mapping.path_in_container {
                let (from, to) = (&mapping.path_on_host, &mapping.path_in_container);
                nodes.extend(gather(from, to)?.iter().map(|(path, found)| node(path, found)));
            }
        }
        return Ok((nodes, vec![json!({"allow": true, "access": "rwm"})]));
    }
    let mut rules = vec![json!({"allow": false, "access": "rwm"})];
    rules.extend(ALLOWED.map(|number| character(true, number)));
    rules.push(character(false, DENIED));
    for mapping in &host_config.devices {
        for (path, found) in gather(&mapping.path_on_host, &mapping.path_in_container)? {
            rules.push(json!({
                "allow": true,
                "type": letter(&found),
                "major": major(found.st_rdev),
                "minor": minor(found.st_rdev),
                "access": mapping.cgroup_permissions,
            }));
            nodes.push(node(&path, &found));
        }
    }
    for rule in &host_config.device_cgroup_rules {
        rules.push(read_rule(rule)?);
    }
    Ok((nodes, rules))
}

fn character(allow: bool, (major, minor): (u32, u32)) -> Value {
    json!({
        "allow": allow, "type": "c", "major": major, "minor": minor, "access": "rwm",
    })
}

/// The device at `from`, or all in the folder there, under their names in the container.
fn gather(from: &str, to: &str) -> Result<Vec<(PathBuf, Stat)>, SpecError> {
    let failed = |reason: &str| {
        SpecError::invalid(format!(
            "error gathering device information while adding custom device {from:?}: {reason}"
        ))
    };
    let found = stat(from).map_err(|error| failed(&words(&error.into())))?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::CharacterDevice | FileType::BlockDevice => Ok(vec![(to.into(), found)]),
        FileType::Directory => {
            let mut devices = Vec::new();
            walk(Path::new(from), &mut |path, found| {
                // Everything that is walked over is below where the walk began.
                let below = path.strip_prefix(from).unwrap_or(path);
                devices.push((Path::new(to).join(below), *found));
            });
            if devices.is_empty() { Err(failed("not a device node")) } else { Ok(devices) }
        }
        _ => Err(failed("not a device node")),
    }
}

/// Shows each device below a folder of the host, but for what a container has of its own.
fn walk(folder: &Path, show: &mut dyn FnMut(&Path, &Stat)) {
    const OWN: [&str; 6] = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts"];
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default();
        // What has gone meanwhile is not there.
        let Ok(found) = lstat(&path) else { continue };
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory if OWN.iter().all(|own| name != *own) => walk(&path, show),
            FileType::CharacterDevice | FileType::BlockDevice
                if name != "console" && name != "ptmx" =>
            {
                show(&path, &found);
            }
            _ => {}
        }
    }
}

fn letter(found: &Stat) -> &'static str {
    match FileType::from_raw_mode(found.st_mode) {
        FileType::BlockDevice => "b",
        _ => "c",
    }
}

fn node(path: &Path, found: &Stat) -> Value {
    json!({
        "type": letter(found),
        "path": path,
        "major": major(found.st_rdev),
        "minor": minor(found.st_rdev),
        "fileMode": found.st_mode & 0o7777,
        "uid": found.st_uid,
        "gid": found.st_gid,
    })
}

/// As in `c 1:3 rwm`, with `*` for every number.
fn read_rule(rule: &str) -> Result<Value, SpecError> {
    let parsed = || {
        let mut words = rule.split(' ');
        let kind = words.next().filter(|kind| matches!(*kind, "a" | "b" | "c"))?;
        let (major, minor) = words.next()?.split_once(':')?;
        let access = words.next().filter(|access| {
            !access.is_empty() && access.chars().all(|letter| "rwm".contains(letter))
        })?;
        let number = |text: &str| match text {
            "*" => Some(-1),
            text => text.parse::<u32>().ok().map(i64::from),
        };
        let (major, minor) = (number(major)?, number(minor)?);
        words.next().is_none().then(|| {
            json!({"allow": true, "type": kind, "major": major, "minor": minor, "access": access})
        })
    };
    parsed()
        .ok_or_else(|| SpecError::invalid(format!("invalid device cgroup rule format: '{rule}'")))
}
