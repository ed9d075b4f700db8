use std::io::BufRead as _;
use std::process::ExitCode;

use anyhow::{Result, bail};
use berth_runner::images::{PruneOptions, Removed, prune};

use super::arguments::PruneArguments;
use super::{filter, stores, units};
use crate::engine::containers::engine;

const DANGLING: &str = "WARNING! This will remove all dangling images.";
const ALL: &str =
    "WARNING! This will remove all images without at least one container associated to them.";

/// `berth image prune`.
pub(super) fn run(arguments: &PruneArguments) -> Result<ExitCode> {
    let options = options(arguments)?;
    let warning = if options.all { ALL } else { DANGLING };
    if !arguments.force && !is_confirmed(warning)? {
        return Ok(ExitCode::SUCCESS);
    }
    let (images, layers) = stores()?;
    let pruned = prune(&images, &layers, &engine()?, &options)?;
    if !pruned.removed.is_empty() {
        println!("Deleted Images:");
        for removed in &pruned.removed {
            match removed {
                Removed::Untagged(name) => println!("untagged: {name}"),
                Removed::Deleted(digest) => println!("deleted: {digest}"),
            }
        }
        println!();
    }
    println!("Total reclaimed space: {}", units::size(pruned.reclaimed));
    Ok(ExitCode::SUCCESS)
}

fn options(arguments: &PruneArguments) -> Result<PruneOptions> {
    let mut options = PruneOptions { all: arguments.all, ..PruneOptions::default() };
    for text in &arguments.filter {
        match filter::pair(text)? {
            ("until", value) => options.until = Some(filter::time(value)?),
            ("label", value) => options.labels.push(filter::label(value)),
            ("label!", value) => options.without_labels.push(filter::label(value)),
            ("dangling", "false" | "0") => options.all = true,
            ("dangling", "true" | "1") => {}
            (other, _) => bail!("invalid filter '{other}'"),
        }
    }
    Ok(options)
}

/// Asks as docker does.
fn is_confirmed(warning: &str) -> Result<bool> {
    print!("{warning}\nAre you sure you want to continue? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
