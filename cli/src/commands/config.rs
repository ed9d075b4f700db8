use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use berth_config::{Config, Driver, Loaded};
use berth_mirror::Mirrors;
use berth_registry::AccessControl;
use berth_registry::server::Tls;

use super::{ahead, stores};

/// `berth config check`: the configuration, and whether the storage it names can be used.
pub(crate) fn check(file: Option<&Path>) -> Result<ExitCode> {
    let Loaded { config, notices, origin } = load(file)?;
    let mut out = std::io::stdout().lock();
    for notice in &notices {
        writeln!(out, "notice: {notice}")?;
    }
    if let Some(notice) = crate::limits::raise_open_files() {
        writeln!(out, "notice: {notice}")?;
    }
    for notice in Tls::load(&config.http)?.iter().flat_map(Tls::notices) {
        writeln!(out, "notice: {notice}")?;
    }
    AccessControl::check(&config)?;
    Mirrors::new(&config)?;
    let engine = ahead::check(&config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (found, database) = runtime.block_on(async {
        let stores = stores::open(&config).await?;
        let found = stores::probe(&config, &stores).await?;
        stores.metadata.ping().await?;
        stores.metadata.close().await;
        anyhow::Ok((found, stores.metadata.name()))
    })?;
    match config.storage.driver() {
        Driver::InMemory => {
            writeln!(out, "storage: in memory; everything is gone when berth ends")?;
        }
        _ => writeln!(out, "storage: {} can be written and read", stores::whereabouts(&config))?,
    }
    for finding in found {
        writeln!(out, "  {finding}")?;
    }
    if config.storage.driver() != Driver::InMemory {
        writeln!(out, "database: {database} can be used")?;
    }
    if let Some(folder) = engine {
        writeln!(out, "engine: layers can be made ready in {}", folder.display())?;
    }
    writeln!(out, "the configuration is good ({origin})")?;
    Ok(ExitCode::SUCCESS)
}

/// `berth config show`: the configuration in force.
pub(crate) fn show(file: Option<&Path>) -> Result<ExitCode> {
    let loaded = load(file)?;
    for notice in &loaded.notices {
        eprintln!("notice: {notice}");
    }
    std::io::stdout().write_all(loaded.config.show().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// `berth config schema`: the JSON Schema.
pub(crate) fn schema() -> Result<ExitCode> {
    println!("{:#}", Config::schema());
    Ok(ExitCode::SUCCESS)
}

/// Reads the file, where there is one, and the environment.
pub(crate) fn load(file: Option<&Path>) -> Result<Loaded> {
    Ok(Config::load(file, berth_config::variables())?)
}
