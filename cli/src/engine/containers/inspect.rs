//! `inspect` and `port`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use berth_runner::images::{self, ImageStore};
use berth_runner::layers::LayerStore;
use berth_runner::network::Port;
use serde_json::{Value, json};

use super::arguments::{ContainerInspectArguments, InspectArguments, PortArguments};
use super::engine;
use crate::engine::inspected;

/// Of containers alone.
pub(super) fn inspect_containers(arguments: ContainerInspectArguments) -> Result<ExitCode> {
    let ContainerInspectArguments { format, size, names } = arguments;
    inspect(&InspectArguments { format, size, kind: Some("container".to_owned()), names })
}

pub(super) fn inspect(arguments: &InspectArguments) -> Result<ExitCode> {
    let mut found = Vec::new();
    let mut failed = false;
    for name in &arguments.names {
        match object(arguments, name) {
            Ok(object) => found.push(object),
            Err(error) => {
                eprintln!("berth: {error:#}");
                failed = true;
            }
        }
    }
    inspected::show(found, arguments.format.as_deref())?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A container, or an image or a volume of that name.
fn object(arguments: &InspectArguments, name: &str) -> Result<Value> {
    let engine = engine()?;
    let kind = arguments.kind.as_deref();
    if matches!(kind, None | Some("container")) {
        match engine.find(name) {
            Ok(container) => {
                let mut shown = engine.inspect(&container);
                if arguments.size {
                    let (written, all) = engine.sizes(&container)?;
                    shown["SizeRw"] = json!(written);
                    shown["SizeRootFs"] = json!(all);
                }
                return Ok(shown);
            }
            Err(error) if kind.is_some() => return Err(error.into()),
            Err(_) => {}
        }
    }
    if matches!(kind, None | Some("image")) {
        let store = ImageStore::open(engine.roots())?;
        match store.find(name) {
            Ok(image) => return Ok(images::inspect(&image, &LayerStore::open(engine.roots())?)?),
            Err(error) if kind.is_some() => return Err(error.into()),
            Err(_) => {}
        }
    }
    if matches!(kind, None | Some("volume")) {
        match engine.volumes().find(name) {
            Ok(volume) => return Ok(serde_json::to_value(volume)?),
            Err(error) if kind.is_some() => return Err(error.into()),
            Err(_) => {}
        }
    }
    match kind {
        None | Some("container" | "image" | "volume") => bail!("No such object: {name}"),
        Some(kind) => bail!("\"{kind}\" is not a valid value for --type"),
    }
}

pub(super) fn port(arguments: &PortArguments) -> Result<ExitCode> {
    let engine = engine()?;
    let container = engine.find(&arguments.container)?;
    let wanted = arguments.port.as_deref().map(str::parse::<Port>).transpose()?;
    let published = container.network().map(|network| network.ports.clone()).unwrap_or_default();
    let mut lines = Vec::new();
    for port in published {
        let address = match port.host_ip {
            std::net::IpAddr::V4(address) => format!("{address}:{}", port.host_port),
            std::net::IpAddr::V6(address) => format!("[{address}]:{}", port.host_port),
        };
        match wanted {
            None => lines.push(format!("{} -> {address}", port.container)),
            Some(wanted) if wanted == port.container => lines.push(address),
            Some(_) => {}
        }
    }
    if let Some(port) = wanted.filter(|_| lines.is_empty()) {
        bail!("no public port '{port}' published for {}", arguments.container);
    }
    lines.iter().for_each(|line| println!("{line}"));
    Ok(ExitCode::SUCCESS)
}
