mod running;
mod signals;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use berth_config::{Config, Loaded};
use berth_registry::Registry;
use tokio::time::sleep;
use tracing::{error, info, warn};

use self::running::Running;
use self::signals::{Asked, Signals};
use super::config::load;
use crate::logging::{self, LogLevel};
use crate::{limits, memory};

/// How long file operations that nobody waits for any more may hold up the end.
const LAST_OPERATIONS: Duration = Duration::from_secs(1);

/// How long a start takes with all that comes at once when it is ready: tasks have their first turns, and whoever
/// waited for it asks something.
const START: Duration = Duration::from_secs(2);

/// `berth serve`: runs until SIGTERM or SIGINT.
pub(crate) fn run(file: Option<PathBuf>) -> Result<ExitCode> {
    let loaded = load(file.as_deref())?;
    let level = logging::start(&loaded.config)?;
    for notice in &loaded.notices {
        warn!("{notice}");
    }
    if let Some(notice) = limits::raise_open_files() {
        warn!("{notice}");
    }
    let runtime = super::runtime::start()?;
    let ended = runtime.block_on(serve(file, loaded, level));
    runtime.shutdown_timeout(LAST_OPERATIONS);
    ended
}

/// Asked to end at any time from here on, also before it is ready, it ends with exit code 0.
async fn serve(file: Option<PathBuf>, loaded: Loaded, level: LogLevel) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let running = tokio::select! {
        running = Running::start(Arc::new(loaded.config)) => running?,
        () = signals.stop() => {
            info!("stopped before it was ready");
            return Ok(ExitCode::SUCCESS);
        }
    };
    tokio::spawn(async {
        sleep(START).await;
        memory::forget_start();
    });
    while signals.next().await == Asked::Reload {
        reload(file.as_deref(), &running.registry, &level);
        if let Some(watch) = &running.tls_watch {
            watch.reload();
        }
    }
    running.stop().await;
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Reads the configuration again. A configuration with an error changes nothing.
fn reload(file: Option<&Path>, registry: &Registry, level: &LogLevel) {
    let loaded = match load(file) {
        Ok(loaded) => loaded,
        Err(error) => {
            error!("the configuration was not reloaded: {error:#}");
            return;
        }
    };
    for notice in &loaded.notices {
        warn!("{notice}");
    }
    let needs_restart = Config::restart_needed(&registry.config(), &loaded.config);
    for key in needs_restart {
        warn!("a change of {key} takes effect at the next start");
    }
    if let Err(error) = level.reload(&loaded.config) {
        warn!("{error:#}");
    }
    registry.reload(Arc::new(loaded.config));
    info!("the configuration was reloaded");
}
