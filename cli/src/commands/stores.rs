use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use berth_config::{Config, Driver, RemoteDriver};
use berth_metadata::{AccountStore, Follower, MetadataStore, UpkeepStore};
use berth_storage_backends::{BlobStore, FilesystemStore, InMemoryStore, StoreError, open_remote};

use super::{backup, metadata};

/// The two stores that a configuration names.
pub(crate) struct Stores {
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) metadata: Arc<dyn MetadataStore>,
    pub(crate) accounts: Arc<dyn AccountStore>,
    pub(crate) upkeep: Arc<dyn UpkeepStore>,
}

/// Opens both stores, making what is missing, and sees to it that they belong together.
pub(crate) async fn open(config: &Config) -> Result<Stores> {
    let blobs = open_blobs(config)?;
    let database = open_database(config, &*blobs, follower(&*blobs)).await?;
    if metadata::stands_apart(config) {
        database.metadata.bind_storage(&metadata::storage_identity(config)).await?;
    }
    let metadata::Database { metadata, accounts, upkeep } = database;
    Ok(Stores { blobs, metadata, accounts, upkeep })
}

/// Opens the database, which is backed up beside the blobs before its schema changes.
pub(super) async fn open_database(
    config: &Config,
    blobs: &dyn BlobStore,
    follower: Follower,
) -> Result<metadata::Database> {
    backup::before_migration(config, blobs).await?;
    metadata::open(config, follower).await
}

/// What the storage keeps of names beside the database.
fn follower(blobs: &dyn BlobStore) -> Follower {
    match (blobs.link_tree(), blobs.files()) {
        (Some(_), _) => Follower::Tree,
        (None, Some(_)) => Follower::Journal,
        (None, None) => Follower::None,
    }
}

/// Proves that the blobs can be written and read where the configuration says.
pub(crate) async fn check(config: &Config, stores: &Stores) -> Result<()> {
    stores.blobs.check().await.map_err(|error| unusable(config, error))
}

/// Tries out all that the storage must do, and tells what it found.
pub(crate) async fn probe(config: &Config, stores: &Stores) -> Result<Vec<String>> {
    let redirects = !config.storage.redirect.disable;
    stores.blobs.probe(redirects).await.map_err(|error| unusable(config, error))
}

/// The error, with what to look at.
fn unusable(config: &Config, error: StoreError) -> anyhow::Error {
    let driver = config.storage.driver().name();
    let advice = match (&error, config.storage.remote()) {
        (_, None) => String::new(),
        (StoreError::NoContainer(_), _) => format!(
            ": check the name of the bucket or container in `storage.{driver}`, the endpoint and the credentials"
        ),
        (StoreError::Denied(_), _) => format!(
            ": check the credentials in `storage.{driver}`, and that they may read, write, list and delete there; the clock of this machine and the region count too"
        ),
        _ => format!(": check the endpoint, the region and the network to it (`storage.{driver}`)"),
    };
    anyhow!(error).context(format!("the storage, {}, cannot be used{advice}", whereabouts(config)))
}

pub(super) fn open_blobs(config: &Config) -> Result<Arc<dyn BlobStore>> {
    let storage = &config.storage;
    if let Some(remote) = storage.remote() {
        return Ok(open_remote(remote)?);
    }
    Ok(match storage.driver() {
        Driver::InMemory => Arc::new(InMemoryStore::new()),
        _ => {
            let root = config.root_directory().unwrap_or(Path::new("."));
            let store = FilesystemStore::open(root).with_context(|| {
                format!(
                    "the storage directory {} (storage.filesystem.rootdirectory) cannot be used",
                    root.display()
                )
            })?;
            Arc::new(store)
        }
    })
}

/// Where the blobs are, in words.
pub(crate) fn whereabouts(config: &Config) -> String {
    let named = |name: &Option<String>| name.clone().unwrap_or_default();
    let at =
        |endpoint: Option<String>| endpoint.map(|url| format!(" at {url}")).unwrap_or_default();
    let Some(remote) = config.storage.remote() else {
        return whereabouts_here(config);
    };
    let place = match remote.driver {
        RemoteDriver::S3(s3) => format!("the bucket {}{}", named(&s3.bucket), at(s3.endpoint())),
        RemoteDriver::Azure(azure) => {
            format!("the container {} at {}", named(&azure.container), azure.endpoint())
        }
        RemoteDriver::Gcs(gcs) => {
            format!("the bucket {}{}", named(&gcs.bucket), at(gcs.endpoint()))
        }
        RemoteDriver::Swift(swift) => {
            format!("the container {} of {}", named(&swift.container), named(&swift.authurl))
        }
        RemoteDriver::Oss(oss) => {
            format!("the bucket {} at {}", named(&oss.bucket), oss.endpoint())
        }
    };
    format!("{place} ({})", remote.name)
}

fn whereabouts_here(config: &Config) -> String {
    match config.storage.driver() {
        Driver::InMemory => "memory; it is gone when berth ends".to_owned(),
        _ => absolute_root(config),
    }
}

/// The root directory as it is called from anywhere.
pub(super) fn absolute_root(config: &Config) -> String {
    let root = config.root_directory().unwrap_or(Path::new("."));
    std::path::absolute(root).unwrap_or_else(|_| root.to_owned()).display().to_string()
}
