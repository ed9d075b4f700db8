//! `container prune`.

use std::io::BufRead as _;
use std::process::ExitCode;

use anyhow::Result;
use berth_runner::containers::{Filter, Filters};

use super::arguments::PruneArguments;
use super::engine;
use crate::engine::images::units;

pub(super) fn prune(arguments: &PruneArguments) -> Result<ExitCode> {
    let filters =
        arguments.filter.iter().map(|text| text.parse::<Filter>()).collect::<Result<_, _>>()?;
    if !arguments.force && !is_wanted()? {
        return Ok(ExitCode::SUCCESS);
    }
    let engine = engine()?;
    let stopped = engine.list()?.into_iter().filter(|one| !one.status.is_running()).collect();
    let mut bytes = 0;
    let mut removed = Vec::new();
    for container in engine.filter(stopped, &Filters::new(filters))? {
        let size = engine.size(&container);
        let id = container.record.id.to_string();
        // One that was started meanwhile, or is gone, is not meant.
        if engine.remove(&id, false, false).is_ok() {
            bytes += size;
            removed.push(id);
        }
    }
    if !removed.is_empty() {
        println!("Deleted Containers:\n{}\n", removed.join("\n"));
    }
    println!("Total reclaimed space: {}", units::size(bytes));
    Ok(ExitCode::SUCCESS)
}

fn is_wanted() -> Result<bool> {
    print!(
        "WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] "
    );
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
