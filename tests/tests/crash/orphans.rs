//! What an object store still holds when abandoned uploads have been purged: blobs, and nothing else.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use berth_metadata::{MetadataStore as _, SqliteLocation, SqliteOptions, SqliteStore};
use berth_tests::tree::objects;
use berth_tests::{Launch, wait};

const PURGING: &str = "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING";

/// Has the registry purge whatever is abandoned, however young, then looks into the bucket and the database.
pub(crate) fn purge_and_compare(launch: &Launch, bucket: &Path, root: &Path) -> Result<String> {
    let before = objects(bucket)?.len();
    let server = launch
        .clone()
        .env("REGISTRY_LOG_LEVEL", "debug")
        .env(format!("{PURGING}_AGE"), "1ms")
        .env(format!("{PURGING}_GRACEPERIOD"), "1ms")
        .env(format!("{PURGING}_INTERVAL"), "1s")
        .start()?;
    wait::until("a round finds nothing to purge", || {
        Ok(server.log_end().contains("there are no abandoned uploads"))
    })?;
    server.stop()?;
    let kept = objects(bucket)?;
    let prefixes: Vec<String> =
        kept.iter().map(|file| location_prefix(bucket, file)).collect::<Result<_>>()?;
    let orphans = tokio::runtime::Runtime::new()?.block_on(async {
        let options = SqliteOptions::new(SqliteLocation::File(root.join("berth.db")));
        let database = SqliteStore::open(options).await?;
        anyhow::Ok(database.location_prefixes_without_blob(&prefixes).await?)
    })?;
    ensure!(orphans.is_empty(), "nothing names these any more: {orphans:?}");
    Ok(format!("{:9} files in the bucket, {} after the purge, each a blob", before, kept.len()))
}

/// What the location of a file's blob begins with: its size and its key.
fn location_prefix(bucket: &Path, file: &Path) -> Result<String> {
    let key = file.strip_prefix(bucket)?.display();
    Ok(format!("{}:{key}:", fs::metadata(file)?.len()))
}
