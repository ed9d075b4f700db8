use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use berth_config::{Config, Driver};
use berth_metadata::{MetadataStore, SqliteLocation, SqliteOptions, SqliteStore};
use berth_storage_backends::{BlobStore, FilesystemStore, InMemoryStore};

/// The two stores that a configuration names.
pub(crate) struct Stores {
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) metadata: Arc<dyn MetadataStore>,
}

/// Opens both stores, making what is missing.
pub(crate) async fn open(config: &Config) -> Result<Stores> {
    let blobs: Arc<dyn BlobStore> = match config.storage.driver() {
        Driver::InMemory => Arc::new(InMemoryStore::new()),
        Driver::Filesystem => {
            let root = config.root_directory().unwrap_or(Path::new("."));
            let store = FilesystemStore::open(root).with_context(|| {
                format!(
                    "the storage directory {} (storage.filesystem.rootdirectory) cannot be used",
                    root.display()
                )
            })?;
            Arc::new(store)
        }
        driver => bail!(
            "`storage.{}`: this build of berth does not have the driver yet: use `filesystem` or `inmemory`",
            driver.name()
        ),
    };
    let location = match config.database_path() {
        Some(path) => SqliteLocation::File(path),
        None => SqliteLocation::Memory,
    };
    let metadata = SqliteStore::open(SqliteOptions {
        location,
        readers: config.metadata.sqlite.readers,
        cache_bytes: config.metadata.sqlite.cachesize.bytes(),
        record_links: blobs.link_tree().is_some(),
    })
    .await?;
    Ok(Stores { blobs, metadata: Arc::new(metadata) })
}
