use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use berth_registry::control::Ask;

use super::import::Report;
use super::{backup, stores};

/// `berth reindex`.
pub(crate) fn run(json: bool, quiet: bool, file: Option<&Path>) -> Result<ExitCode> {
    let config = super::ask::config(file)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (restored, keeps_links) = runtime.block_on(async {
        let blobs = stores::open_blobs(&config)?;
        let keeps_links = blobs.link_tree().is_some();
        anyhow::Ok((backup::restore_newest(&config, &*blobs).await?, keeps_links))
    })?;
    drop(runtime);
    let tells = !json && !quiet;
    if let Some(backup) = restored.filter(|_| tells) {
        println!("there was no database; that of {} is back", backup.name());
    }
    if tells && !keeps_links {
        println!(
            "this storage keeps no link files of what Berth stores: names come from the database, its backups, and what another registry has left"
        );
    }
    let mut report = Report::new(json, quiet);
    super::ask::run(config, Ask::Import, |told| report.show(told))
}
