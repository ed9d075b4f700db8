use std::process::ExitCode;

use anyhow::Result;
use berth_runner::images::inspect;

use super::arguments::InspectArguments;
use super::stores;
use crate::engine::inspected;

/// `berth image inspect IMAGE…`: those that are there are shown, and those that are not are told.
pub(super) fn run(arguments: &InspectArguments) -> Result<ExitCode> {
    let (images, layers) = stores()?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &arguments.images {
        match images.find(name).and_then(|image| inspect(&image, &layers)) {
            Ok(shown) => found.push(shown),
            Err(error) => failures.push(error),
        }
    }
    inspected::show(found, arguments.format.as_deref())?;
    for failure in &failures {
        eprintln!("berth: {failure}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
