//! Work on what is stored: in the process that has the database, or, where there is none, in this one.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use berth_config::{Config, Driver};
use berth_metadata::MetadataError;
use berth_mirror::Mirrors;
use berth_registry::Registry;
use berth_registry::control::{self, Ask, Told};
use tokio::sync::mpsc;

use super::stores;

/// How much may be told before it is shown.
const TOLD: usize = 1024;

/// The configuration of a registry that a command can work on.
pub(super) fn config(file: Option<&Path>) -> Result<Arc<Config>> {
    let config = super::config::load(file)?.config;
    if config.storage.driver() == Driver::InMemory {
        bail!(
            "everything is in the memory of the berth that serves it, where no command reaches it; use its API"
        );
    }
    Ok(Arc::new(config))
}

/// Has it done, and shows what is told. Fails when the work did.
pub(super) fn run(
    config: Arc<Config>,
    ask: Ask,
    mut show: impl FnMut(Told) -> Result<()>,
) -> Result<ExitCode> {
    let runtime = super::runtime::start()?;
    runtime.block_on(async {
        let (tell, mut told) = mpsc::channel(TOLD);
        let work = tokio::spawn(carry_out(config, ask, tell));
        let mut outcome = None;
        while let Some(told) = told.recv().await {
            outcome = match &told {
                told if told.is_done() => Some(Ok(())),
                Told::Failed(reason) => Some(Err(reason.clone())),
                _ => outcome,
            };
            show(told)?;
        }
        work.await??;
        match outcome {
            Some(Ok(())) => Ok(ExitCode::SUCCESS),
            Some(Err(reason)) => Err(anyhow!(reason)),
            None => bail!("the work ended before it was done"),
        }
    })
}

async fn carry_out(config: Arc<Config>, ask: Ask, tell: mpsc::Sender<Told>) -> Result<()> {
    let stores = match stores::open(&config).await {
        Ok(stores) => stores,
        Err(error) => {
            let in_use =
                matches!(error.downcast_ref::<MetadataError>(), Some(MetadataError::InUse { .. }));
            let Some(database) = config.database_path().filter(|_| in_use) else {
                return Err(error);
            };
            let socket = control::socket_path(&database);
            let asked = control::ask(&socket, &ask, tell).await;
            return asked.with_context(|| {
                format!("the berth that has the database cannot be asked at {}", socket.display())
            });
        }
    };
    let metadata = stores.metadata.clone();
    let mirrors = Mirrors::new(&config)?;
    let registry = Registry::new(config, stores.blobs, stores.metadata).with_mirrors(mirrors);
    let registry = Arc::new(registry.with_accounts(stores.accounts).with_upkeep(stores.upkeep));
    control::carry_out(&registry, ask, tell).await;
    metadata.close().await;
    Ok(())
}
