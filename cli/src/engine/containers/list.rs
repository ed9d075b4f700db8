//! `ps` and `top`.

use std::process::ExitCode;

use anyhow::Result;
use berth_runner::containers::{Container, Engine, Filter, Filters, Status};
use berth_runner::network::PublishedPort;
use berth_runner::templates::{Format, align};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::arguments::{ListArguments, TopArguments};
use super::engine;
use crate::engine::images::units;

/// How much of a command is shown.
const SHORT: usize = 20;

const COLUMNS: &str =
    "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

pub(super) fn list(arguments: &ListArguments) -> Result<ExitCode> {
    let engine = engine()?;
    let filters =
        arguments.filter.iter().map(|text| text.parse::<Filter>()).collect::<Result<_, _>>()?;
    let filters = Filters::new(filters);
    let last = if arguments.latest { 1 } else { arguments.last };
    let all = arguments.all || last > 0 || filters.want_stopped();
    let mut containers = engine.list()?;
    if !all {
        containers.retain(|container| container.status.is_running());
    }
    let mut containers = engine.filter(containers, &filters)?;
    if let Ok(last) = usize::try_from(last)
        && last > 0
    {
        containers.truncate(last);
    }
    if arguments.quiet && arguments.format.is_none() {
        for container in &containers {
            let id = &container.record.id;
            println!("{}", if arguments.no_trunc { id.as_str() } else { id.short() });
        }
        return Ok(ExitCode::SUCCESS);
    }
    let default =
        if arguments.size { format!("{COLUMNS}\t{{{{.Size}}}}") } else { COLUMNS.to_owned() };
    let format = Format::parse(arguments.format.as_deref().unwrap_or_default(), &default)?;
    let rows = containers.iter().map(|one| row(&engine, one, arguments));
    print!("{}", format.render(&head(), rows)?);
    Ok(ExitCode::SUCCESS)
}

fn head() -> Value {
    json!({
        "ID": "CONTAINER ID", "Image": "IMAGE", "Command": "COMMAND", "CreatedAt": "CREATED AT",
        "RunningFor": "CREATED", "State": "STATE", "Status": "STATUS", "Ports": "PORTS", "Names": "NAMES",
        "Labels": "LABELS", "Mounts": "MOUNTS", "Networks": "NETWORKS", "LocalVolumes": "LOCAL VOLUMES",
        "Size": "SIZE",
    })
}

/// A container in the words of docker's templates.
fn row(engine: &Engine, container: &Container, arguments: &ListArguments) -> Value {
    let record = &container.record;
    let now = Timestamp::now();
    let command = record.command().join(" ");
    let command = match arguments.no_trunc {
        false if command.chars().count() > SHORT => {
            let start: String = command.chars().take(SHORT - 1).collect();
            format!("\"{start}…\"")
        }
        _ => format!("\"{command}\""),
    };
    let ports = container.network().map(|network| ports(&network.ports)).unwrap_or_default();
    let labels: Vec<String> =
        record.labels().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mounts: Vec<&str> = record
        .mounts
        .iter()
        .map(
            |mount| if mount.name.is_empty() { mount.source.as_str() } else { mount.name.as_str() },
        )
        .collect();
    json!({
        "ID": if arguments.no_trunc { record.id.as_str() } else { record.id.short() },
        "Image": record.config.image,
        "Command": command,
        "CreatedAt": record.created.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
        "RunningFor": units::ago(record.created, now),
        "State": container.status,
        "Status": status(container, now),
        "Ports": ports,
        "Names": record.name,
        "Labels": labels.join(","),
        "Mounts": mounts.join(","),
        "Networks": record.host_config.network_mode,
        "LocalVolumes": record.mounts.iter().filter(|mount| !mount.name.is_empty()).count().to_string(),
        "Size": if arguments.size { units::size(engine.size(container)) } else { String::new() },
    })
}

fn status(container: &Container, now: Timestamp) -> String {
    let since = |time: Option<Timestamp>| {
        units::duration(now.as_second() - time.unwrap_or(now).as_second())
    };
    match container.status {
        Status::Created => "Created".to_owned(),
        Status::Running => format!("Up {}", since(container.started_at())),
        Status::Paused => format!("Up {} (Paused)", since(container.started_at())),
        Status::Exited => {
            let ended = container.ended.clone().unwrap_or_default();
            format!("Exited ({}) {} ago", ended.exit_code, since(ended.finished_at))
        }
    }
}

/// As docker has them.
fn ports(published: &[PublishedPort]) -> String {
    let shown: Vec<String> = published
        .iter()
        .map(|port| match port.host_ip {
            std::net::IpAddr::V4(address) => {
                format!("{address}:{}->{}", port.host_port, port.container)
            }
            std::net::IpAddr::V6(address) => {
                format!("[{address}]:{}->{}", port.host_port, port.container)
            }
        })
        .collect();
    shown.join(", ")
}

pub(super) fn top(arguments: &TopArguments) -> Result<ExitCode> {
    let processes = engine()?.top(&arguments.container, &arguments.options)?;
    let lines: Vec<String> = std::iter::once(&processes.titles)
        .chain(&processes.rows)
        .map(|row| row.join("\t"))
        .collect();
    print!("{}", align(&lines.join("\n")));
    Ok(ExitCode::SUCCESS)
}
