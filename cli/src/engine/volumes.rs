//! `berth volume …`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead as _;
use std::process::ExitCode;

use anyhow::{Result, bail};
use berth_runner::Roots;
use berth_runner::containers::Engine;
use berth_runner::spec::parse;
use berth_runner::templates::Format;
use berth_runner::volumes::{NewVolume, Volume, VolumeError, VolumeUsers as _};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::images::units;
use super::inspected;
use super::options::{AsDocker, filter};

/// What can be done with volumes.
#[derive(Debug, Subcommand)]
pub(crate) enum VolumeCommand {
    /// Create a volume
    Create(AsDocker<CreateArguments>),
    /// Display detailed information on one or more volumes
    Inspect(AsDocker<InspectArguments>),
    /// List volumes
    #[command(alias = "list")]
    Ls(AsDocker<ListArguments>),
    /// Remove unused local volumes
    Prune(AsDocker<PruneArguments>),
    /// Remove one or more volumes
    #[command(alias = "remove")]
    Rm(AsDocker<RemoveArguments>),
}

#[derive(Args, Debug)]
pub(crate) struct CreateArguments {
    /// What it is called; nothing is any name.
    #[arg(value_name = "VOLUME")]
    volume: Option<String>,
    /// Specify volume name
    #[arg(long, hide = true)]
    name: Option<String>,
    /// Specify volume driver name
    #[arg(long, short, default_value = "local")]
    driver: String,
    /// Set metadata for a volume
    #[arg(long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// Set driver specific options
    #[arg(long, short, value_name = "NAME=VALUE")]
    opt: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct InspectArguments {
    /// Which.
    #[arg(required = true)]
    volumes: Vec<String>,
    /// Format output using a custom template: 'json', or a Go template
    #[arg(long, short)]
    format: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// Provide filter values (e.g. "dangling=true")
    #[arg(long, short, value_parser = filter)]
    filter: Vec<String>,
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json', or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Only display volume names
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PruneArguments {
    /// Remove all unused volumes, not just anonymous ones
    #[arg(long, short)]
    all: bool,
    /// Provide filter values (e.g. "label=keep")
    #[arg(long, value_parser = filter)]
    filter: Vec<String>,
    /// Do not prompt for confirmation
    #[arg(long, short)]
    force: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RemoveArguments {
    /// Which.
    #[arg(required = true)]
    volumes: Vec<String>,
    /// Force the removal of one or more volumes
    #[arg(long, short)]
    force: bool,
}

/// Does what was asked for.
pub(crate) fn run(command: VolumeCommand) -> Result<ExitCode> {
    let engine = Engine::open(&Roots::from_environment(), || ())?;
    match command {
        VolumeCommand::Create(arguments) => create(&engine, arguments.0),
        VolumeCommand::Inspect(arguments) => inspect(&engine, &arguments.0),
        VolumeCommand::Ls(arguments) => list(&engine, &arguments.0),
        VolumeCommand::Prune(arguments) => prune(&engine, &arguments.0),
        VolumeCommand::Rm(arguments) => Ok(remove(&engine, &arguments.0)),
    }
}

fn create(engine: &Engine, arguments: CreateArguments) -> Result<ExitCode> {
    if arguments.name.is_some() && arguments.volume.is_some() {
        bail!(
            "conflicting options: cannot specify a volume-name through both --name and as a positional arg"
        );
    }
    let volume = engine.volumes().create(NewVolume {
        name: arguments.volume.or(arguments.name),
        driver: arguments.driver,
        labels: parse::label_map(&arguments.label),
        options: parse::label_map(&arguments.opt),
    })?;
    println!("{}", volume.name);
    Ok(ExitCode::SUCCESS)
}

/// Those that are there are shown, and those that are not are told.
fn inspect(engine: &Engine, arguments: &InspectArguments) -> Result<ExitCode> {
    let mut found = Vec::new();
    let mut failed = false;
    for name in &arguments.volumes {
        match engine.volumes().find(name) {
            Ok(volume) => found.push(serde_json::to_value(volume)?),
            Err(error) => {
                eprintln!("berth: {error}");
                failed = true;
            }
        }
    }
    inspected::show(found, arguments.format.as_deref())?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn list(engine: &Engine, arguments: &ListArguments) -> Result<ExitCode> {
    let filters = Filters::read(&arguments.filter)?;
    let format = arguments.format.as_deref().unwrap_or_default();
    let format = Format::parse(format, "table {{.Driver}}\t{{.Name}}")?;
    let mut rows = Vec::new();
    for volume in engine.volumes().list()? {
        if filters.pass(engine, &volume)? {
            rows.push(volume);
        }
    }
    if arguments.quiet && arguments.format.is_none() {
        rows.iter().for_each(|volume| println!("{}", volume.name));
        return Ok(ExitCode::SUCCESS);
    }
    let head = json!({
        "Driver": "DRIVER", "Name": "VOLUME NAME", "Labels": "LABELS", "Label": {},
        "Mountpoint": "MOUNTPOINT", "Scope": "SCOPE", "Size": "SIZE", "Links": "LINKS",
        "Availability": "AVAILABILITY", "Group": "GROUP", "Status": "STATUS",
    });
    print!("{}", format.render(&head, rows.iter().map(row))?);
    Ok(ExitCode::SUCCESS)
}

fn row(volume: &Volume) -> Value {
    let labels = volume.labels.clone().unwrap_or_default();
    let shown: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    json!({
        "Driver": volume.driver, "Name": volume.name, "Labels": shown.join(","), "Label": labels,
        "Mountpoint": volume.mountpoint, "Scope": volume.scope, "Size": "N/A", "Links": "N/A",
        "Availability": "N/A", "Group": "N/A", "Status": "N/A",
    })
}

fn prune(engine: &Engine, arguments: &PruneArguments) -> Result<ExitCode> {
    let filters = Filters::read(&arguments.filter)?;
    let all = arguments.all || filters.all;
    if !arguments.force && !is_confirmed(all)? {
        bail!("volume prune has been cancelled");
    }
    let wanted = |volume: &Volume| (all || volume.is_anonymous()) && filters.has_labels(volume);
    let pruned = engine.volumes().prune(&wanted, engine)?;
    if !pruned.names.is_empty() {
        println!("Deleted Volumes:");
        pruned.names.iter().for_each(|name| println!("{name}"));
        println!();
    }
    println!("Total reclaimed space: {}", units::size(pruned.bytes));
    Ok(ExitCode::SUCCESS)
}

fn is_confirmed(all: bool) -> Result<bool> {
    let which = if all { "all" } else { "anonymous" };
    print!(
        "WARNING! This will remove {which} local volumes not used by at least one container.\n\
         Are you sure you want to continue? [y/N] "
    );
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}

fn remove(engine: &Engine, arguments: &RemoveArguments) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for name in &arguments.volumes {
        match engine.volumes().remove(name, engine) {
            Err(VolumeError::NotFound(_)) if arguments.force => println!("{name}"),
            Ok(()) => println!("{name}"),
            Err(error) => {
                eprintln!("berth: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// Values of one filter are alternatives, but for labels, all of which have to be there.
#[derive(Default)]
struct Filters {
    names: Vec<String>,
    drivers: BTreeSet<String>,
    labels: BTreeMap<String, Option<String>>,
    without_labels: BTreeMap<String, Option<String>>,
    dangling: Option<bool>,
    all: bool,
}

impl Filters {
    fn read(texts: &[String]) -> Result<Self> {
        let mut filters = Self::default();
        for text in texts {
            let Some((name, value)) = text.split_once('=') else {
                bail!(
                    "invalid argument {text:?} for \"-f, --filter\" flag: invalid filter '{text}'"
                );
            };
            let label = || match value.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (value.to_owned(), None),
            };
            let is_true = || match value {
                "1" | "true" => Ok(true),
                "0" | "false" => Ok(false),
                value => bail!("invalid filter '{name}={value}'"),
            };
            match name {
                "name" => filters.names.push(value.to_owned()),
                "driver" => drop(filters.drivers.insert(value.to_owned())),
                "label" => filters.labels.extend([label()]),
                "label!" => filters.without_labels.extend([label()]),
                "dangling" => filters.dangling = Some(is_true()?),
                "all" => filters.all = is_true()?,
                name => bail!("invalid filter '{name}'"),
            }
        }
        Ok(filters)
    }

    fn pass(&self, engine: &Engine, volume: &Volume) -> Result<bool> {
        let is_named =
            self.names.is_empty() || self.names.iter().any(|name| volume.name.contains(name));
        let is_driven = self.drivers.is_empty() || self.drivers.contains(&volume.driver);
        if !is_named || !is_driven || !self.has_labels(volume) {
            return Ok(false);
        }
        let Some(dangling) = self.dangling else { return Ok(true) };
        let users = engine.users(&volume.name).map_err(|error| anyhow::anyhow!(error))?;
        Ok(users.is_empty() == dangling)
    }

    fn has_labels(&self, volume: &Volume) -> bool {
        let has = |(name, value): (&String, &Option<String>)| {
            let found = volume.labels.as_ref().and_then(|labels| labels.get(name));
            found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
        };
        self.labels.iter().all(has) && !self.without_labels.iter().any(has)
    }
}
