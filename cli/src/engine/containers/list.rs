//! `ps` and `top`.

use std::process::ExitCode;

use anyhow::Result;
use berth_runner::containers::{Container, Engine, Filter, Filters, Status};
use berth_runner::templates::{self, Format, align};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::arguments::{ListArguments, TopArguments};
use super::{engine, ports};
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
        "Size": "SIZE", "Label": {},
    })
}

/// A container in the words of docker's templates.
fn row(engine: &Engine, container: &Container, arguments: &ListArguments) -> Value {
    let record = &container.record;
    let now = Timestamp::now();
    let ports = container.network().map(ports::shown).unwrap_or_default();
    let labels: Vec<String> =
        record.labels().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mounts: Vec<&str> = record
        .mounts
        .iter()
        .map(
            |mount| if mount.name.is_empty() { mount.source.as_str() } else { mount.name.as_str() },
        )
        .collect();
    let asks = |word| arguments.format.as_ref().is_some_and(|format| format.contains(word));
    let mut row = json!({
        "ID": if arguments.no_trunc { record.id.as_str() } else { record.id.short() },
        "Image": record.config.image,
        "Command": command(container, arguments.no_trunc),
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
        "Size": if asks(".Size") || arguments.size { size(engine, container) } else { units::size(0) },
    });
    if asks(".Label ") {
        // A method of docker's, and no member that is shown with the others.
        row["Label"] = json!(record.labels());
    }
    row
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

/// As docker has it: arguments with spaces in quotation marks, and as much of the whole as there is room for in others.
fn command(container: &Container, whole: bool) -> String {
    let words = container.record.command();
    let quoted = words.iter().enumerate().map(|(at, word)| match at > 0 && word.contains(' ') {
        true => format!("'{word}'"),
        false => word.clone(),
    });
    let command = quoted.collect::<Vec<_>>().join(" ");
    if whole || command.chars().count() <= SHORT {
        return templates::quoted(&command);
    }
    templates::quoted(&command.chars().take(SHORT - 1).chain(['…']).collect::<String>())
}

/// What it has written, and what that makes with its image.
fn size(engine: &Engine, container: &Container) -> String {
    match engine.sizes(container) {
        Ok((written, all)) => format!("{} (virtual {})", units::size(written), units::size(all)),
        // The rest of the list is no worse for it.
        Err(_) => units::size(engine.size(container)),
    }
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
