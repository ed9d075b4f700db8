use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use berth_registry::control::Ask;

use super::import::Report;
use super::{backup, stores};

/// `berth reindex`.
pub(crate) fn run(json: bool, quiet: bool, file: Option<&Path>) -> Result<ExitCode> {
    let config = super::ask::config(file)?;
    let runtime = super::runtime::start()?;
    let restored = runtime.block_on(async {
        let blobs = stores::open_blobs(&config)?;
        backup::restore_newest(&config, &*blobs).await
    })?;
    drop(runtime);
    if let Some(backup) = restored.filter(|_| !json && !quiet) {
        println!("there was no database; that of {} is back", backup.name());
    }
    let mut report = Report::new(json, quiet);
    super::ask::run(config, Ask::Reindex, |told| report.show(told))
}
