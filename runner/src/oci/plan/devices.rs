//! Nodes below `/dev`.

use std::path::PathBuf;

use rustix::fs::{Dev, makedev};

use super::super::config::linux::{Device, DeviceKind};
use super::super::{Error, Result};

/// A node to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::oci) struct Node {
    pub(in crate::oci) path: PathBuf,
    pub(in crate::oci) kind: NodeKind,
    pub(in crate::oci) mode: u32,
    pub(in crate::oci) uid: u32,
    pub(in crate::oci) gid: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::oci) enum NodeKind {
    Character(Dev),
    Block(Dev),
    Fifo,
}

/// Those that the specification gives to every container.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// The default ones, unless the configuration has others in their place, and those that it has.
pub(super) fn plan(devices: &[Device]) -> Result<Vec<Node>> {
    let mut nodes: Vec<Node> = DEFAULT
        .iter()
        .filter(|(path, ..)| devices.iter().all(|device| device.path != PathBuf::from(path)))
        .map(|&(path, major, minor)| Node {
            path: path.into(),
            kind: NodeKind::Character(makedev(major, minor)),
            mode: 0o666,
            uid: 0,
            gid: 0,
        })
        .collect();
    for device in devices {
        nodes.push(node(device)?);
    }
    Ok(nodes)
}

fn node(device: &Device) -> Result<Node> {
    let path = &device.path;
    if !path.is_absolute() || path.file_name().is_none() {
        return Err(Error::invalid(format!("linux.devices: {} is not absolute", path.display())));
    }
    let number = makedev(device.major, device.minor);
    Ok(Node {
        path: path.clone(),
        kind: match device.kind {
            DeviceKind::Character => NodeKind::Character(number),
            DeviceKind::Block => NodeKind::Block(number),
            DeviceKind::Fifo => NodeKind::Fifo,
        },
        mode: device.file_mode.unwrap_or(0o666) & 0o7777,
        uid: device.uid.unwrap_or(0),
        gid: device.gid.unwrap_or(0),
    })
}
