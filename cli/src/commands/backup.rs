use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use berth_config::Config;
use berth_metadata::Endpoint;
use berth_registry::{Backup, BackupSource, Backups};
use berth_storage_backends::{BlobStore, StoreFiles};
use clap::Subcommand;

use super::garbage_collect::bytes;
use super::{metadata, migrate, stores};

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Make a backup of the database now. The registry may be running.
    Now,
    /// List the backups, the oldest first.
    List,
    /// Put a backup in the place of the database, which must not be there any more.
    ///
    /// What was pushed since the backup was made is found by `berth reindex`.
    Restore {
        /// Which backup, as `berth backup list` calls it; the newest without.
        name: Option<String>,
    },
}

/// `berth backup`.
pub(crate) fn run(command: &BackupCommand, file: Option<&Path>) -> Result<ExitCode> {
    let config = super::ask::config(file)?;
    let runtime = super::runtime::start()?;
    runtime.block_on(async {
        let blobs = stores::open_blobs(&config)?;
        let backups = Backups(files(&*blobs)?);
        match command {
            BackupCommand::Now => {
                let made = source(&config)?.back_up(&backups).await;
                tell(&made.map_err(|reason| anyhow!(reason))?);
                backups.prune(config.storage.backup.keep as usize).await?;
            }
            BackupCommand::List => backups.list().await?.iter().for_each(tell),
            BackupCommand::Restore { name } => {
                let backup = find(&backups, name.as_deref()).await?;
                restore(&config, &backups, &backup).await?;
                println!("the database is that of {} again", backup.name());
                println!("run `berth reindex` to find what was pushed since");
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn files(blobs: &dyn BlobStore) -> Result<&dyn StoreFiles> {
    blobs.files().context("the storage keeps no files beside its blobs")
}

fn tell(backup: &Backup) {
    println!("{}  {:>12}  {}", backup.name(), bytes(backup.size), backup.digest);
}

async fn find(backups: &Backups<'_>, name: Option<&str>) -> Result<Backup> {
    let mut all = backups.list().await?;
    let Some(name) = name else { return all.pop().context("there is no backup") };
    let found = all.into_iter().find(|backup| backup.name() == name);
    found.with_context(|| format!("there is no backup {name}; see `berth backup list`"))
}

/// What backups are made of. Files are made beside the database.
pub(super) fn source(config: &Config) -> Result<BackupSource> {
    let database = config.database_path().filter(|_| config.metadata.url.is_none());
    let folder = database.as_deref().and_then(Path::parent).map(Path::to_owned);
    let folder = folder.unwrap_or_else(std::env::temp_dir);
    Ok(BackupSource::new(migrate::source(config)?, &folder))
}

async fn restore(config: &Config, backups: &Backups<'_>, backup: &Backup) -> Result<()> {
    if let Some(database) = config.database_path() {
        metadata::make_folder_of(&database)?;
    }
    let scratch = source(config)?.scratch;
    let _ = std::fs::remove_file(&scratch);
    backups.fetch(backup, &scratch).await?;
    let restored = match migrate::source(config)? {
        Endpoint::Sqlite(path) => berth_metadata::restore(&scratch, &path).await,
        Endpoint::Postgres(_) => {
            let file = scratch.display().to_string();
            bail!(
                "the backup was fetched into {file}; copy it into an empty PostgreSQL database with: berth metadata migrate --to URL, over a configuration that names this file as metadata.sqlite.path"
            )
        }
    };
    let _ = std::fs::remove_file(&scratch);
    Ok(restored?)
}

/// Gets the newest backup back where there is no database: accounts and grants are in no other place.
pub(super) async fn restore_newest(
    config: &Config,
    blobs: &dyn BlobStore,
) -> Result<Option<Backup>> {
    let lost =
        config.metadata.url.is_none() && config.database_path().is_some_and(|path| !path.exists());
    let (true, Some(files)) = (lost, blobs.files()) else { return Ok(None) };
    let backups = Backups(files);
    let Some(newest) = backups.list().await?.pop() else { return Ok(None) };
    restore(config, &backups, &newest).await?;
    Ok(Some(newest))
}

/// Keeps the database as it is before a new version changes its schema.
pub(super) async fn before_migration(config: &Config, blobs: &dyn BlobStore) -> Result<()> {
    // What is in memory alone is new each time.
    let (Ok(database), Some(files)) = (migrate::source(config), blobs.files()) else {
        return Ok(());
    };
    if !config.storage.backup.enabled {
        return Ok(());
    }
    let is_older = match berth_metadata::would_migrate(&database).await {
        Ok(is_older) => is_older,
        // A file that cannot be looked at is told of by who opens it to work with.
        Err(_) if matches!(database, Endpoint::Sqlite(_)) => false,
        Err(error) => return Err(error.into()),
    };
    if !is_older {
        return Ok(());
    }
    let made = source(config)?.back_up(&Backups(files)).await;
    let backup = made.map_err(|reason| anyhow!(reason)).context(
        "the database is of an older version, and no backup of it could be made before it is changed; storage.backup.enabled: false does without",
    )?;
    tracing::info!(name = backup.name(), "the database was backed up before its schema changes");
    Ok(())
}
