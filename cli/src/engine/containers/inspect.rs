//! `inspect` and `port`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use berth_runner::images::{self, ImageStore};
use berth_runner::layers::LayerStore;
use berth_runner::network::Port;
use berth_runner::templates::Template;
use serde_json::{Value, json};

use super::arguments::{InspectArguments, PortArguments};
use super::engine;

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
    show(found, arguments.format.as_deref())?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn show(found: Vec<Value>, format: Option<&str>) -> Result<()> {
    match format {
        None => {
            let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
            let mut text = Vec::new();
            let mut to = serde_json::Serializer::with_formatter(&mut text, formatter);
            serde::Serialize::serialize(&Value::Array(found), &mut to)?;
            println!("{}", String::from_utf8(text)?);
        }
        Some(format) => {
            let format = if format == "json" { "{{json .}}" } else { format };
            let template = Template::parse(format)?;
            for object in &found {
                println!("{}", template.render(object)?);
            }
        }
    }
    Ok(())
}

/// A container, or an image of that name.
fn object(arguments: &InspectArguments, name: &str) -> Result<Value> {
    let engine = engine()?;
    let kind = arguments.kind.as_deref();
    if matches!(kind, None | Some("container")) {
        match engine.find(name) {
            Ok(container) => {
                let mut shown = engine.inspect(&container);
                if arguments.size {
                    shown["SizeRw"] = json!(engine.size(&container));
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
    match kind {
        None | Some("container" | "image") => bail!("No such object: {name}"),
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
