use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use berth_metadata::Follower;

use super::{metadata, stores};

/// `berth metadata relocate`: the blobs of the database are where the configuration says now.
pub(crate) fn run(file: Option<&Path>) -> Result<ExitCode> {
    let config = super::config::load(file)?.config;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let place = metadata::storage_identity(&config);
    runtime.block_on(async {
        let blobs = stores::open_blobs(&config)?;
        let metadata = stores::open_database(&config, &*blobs, Follower::None).await?.metadata;
        metadata.rebind_storage(&place).await?;
        metadata.close().await;
        anyhow::Ok(())
    })?;
    println!("the database belongs to the blobs in {place} from now on");
    Ok(ExitCode::SUCCESS)
}
