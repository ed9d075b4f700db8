//! Where there is no engine, nothing is made ready for it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use berth_config::Config;
use berth_registry::PushObserver;

pub(super) fn start(config: &Config) -> Result<Option<Arc<dyn PushObserver>>> {
    check(config).map(|_| None)
}

pub(super) fn check(config: &Config) -> Result<Option<PathBuf>> {
    match &config.engine.dataroot {
        Some(_) => {
            bail!("`engine.dataroot` is set, and the container engine needs Linux: remove it")
        }
        None => Ok(None),
    }
}
