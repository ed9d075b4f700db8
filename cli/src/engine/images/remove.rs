use std::process::ExitCode;

use anyhow::Result;
use berth_runner::images::{ImageError, Removed, remove};

use super::arguments::RemoveArguments;
use super::stores;
use crate::engine::containers::engine;

/// `berth rmi IMAGE…`: goes on with the next where one cannot be removed.
pub(super) fn run(arguments: &RemoveArguments) -> Result<ExitCode> {
    let (images, layers) = stores()?;
    let mut code = ExitCode::SUCCESS;
    for name in &arguments.images {
        match remove(&images, &layers, &engine()?, name, arguments.force) {
            Ok(removed) => removed.iter().for_each(print),
            Err(error) => {
                eprintln!("berth: {error}");
                // As docker: what is not there need not be removed.
                if !arguments.force || !matches!(error, ImageError::NotFound(_)) {
                    code = ExitCode::FAILURE;
                }
            }
        }
    }
    Ok(code)
}

fn print(removed: &Removed) {
    match removed {
        Removed::Untagged(name) => println!("Untagged: {name}"),
        Removed::Deleted(digest) => println!("Deleted: {digest}"),
    }
}
