use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use berth_config::{Config, Secret};
use berth_metadata::{Changes, Endpoint, Follower, MetadataError, Transfer};

use super::config::load;
use super::metadata::{make_folder_of, postgres};

/// How often to look whether the registry has been stopped.
const POLL: Duration = Duration::from_millis(500);

/// After so long another pass is made while waiting, so that the last one stays short.
const AGAIN: Duration = Duration::from_secs(60);

/// `berth metadata migrate`: copies the database that the configuration names.
pub(crate) fn run(to: &str, online_only: bool, file: Option<&Path>) -> Result<ExitCode> {
    let config = load(file)?.config;
    let (source, target) = (source(&config)?, target(&config, to)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(migrate(source, target, online_only))
}

/// The database that the configuration names.
pub(super) fn source(config: &Config) -> Result<Endpoint> {
    if let Some(url) = &config.metadata.url {
        return Ok(Endpoint::Postgres(postgres(config, url, Follower::None)));
    }
    match config.database_path() {
        Some(path) => Ok(Endpoint::Sqlite(path)),
        None => bail!("the configuration keeps everything in memory: there is nothing to copy"),
    }
}

fn target(config: &Config, to: &str) -> Result<Endpoint> {
    if to.contains("://") {
        let url = Secret::from(to.to_owned());
        return Ok(Endpoint::Postgres(postgres(config, &url, Follower::None)));
    }
    let path = PathBuf::from(to);
    make_folder_of(&path)?;
    Ok(Endpoint::Sqlite(path))
}

async fn migrate(source: Endpoint, target: Endpoint, online_only: bool) -> Result<ExitCode> {
    let mut transfer = Transfer::open(source, target).await?;
    let (from, to) = transfer.names();
    println!("copying {from} to {to}");
    pass(&mut transfer, "while it may be in use").await?;
    if online_only {
        println!("run this again without --online-only to finish");
        return Ok(ExitCode::SUCCESS);
    }
    wait_for_stop(&mut transfer).await?;
    pass(&mut transfer, "while it is stopped").await?;
    let begun = Instant::now();
    let summary = transfer.verify().await?;
    println!("both are the same, compared in {:.1?}:", begun.elapsed());
    for (table, rows) in &summary.rows {
        println!("  {table:<20} {rows:>12}");
    }
    transfer.finish().await?;
    println!("{from} is not served any longer; name {to} in the configuration and start berth");
    Ok(ExitCode::SUCCESS)
}

async fn pass(transfer: &mut Transfer, when: &str) -> Result<()> {
    let begun = Instant::now();
    let Changes { written, deleted } = transfer.pass().await?;
    println!(
        "a pass {when}: {written} rows written, {deleted} deleted, in {:.1?}",
        begun.elapsed()
    );
    Ok(())
}

/// Waits until no registry works with the source, and keeps up with it until then.
async fn wait_for_stop(transfer: &mut Transfer) -> Result<()> {
    let mut told = false;
    let mut last_pass = Instant::now();
    loop {
        match transfer.take_source().await {
            Ok(()) => return Ok(()),
            Err(MetadataError::InUse { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if !told {
            println!("now stop the registry; the rest follows by itself");
            told = true;
        }
        tokio::time::sleep(POLL).await;
        if last_pass.elapsed() > AGAIN {
            pass(transfer, "while it is in use").await?;
            last_pass = Instant::now();
        }
    }
}
