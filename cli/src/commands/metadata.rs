use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use berth_config::{Config, RemoteDriver, Secret};
use berth_metadata::{
    AccountStore, Follower, MetadataStore, Pooling, PostgresOptions, PostgresStore, SqliteLocation,
    SqliteOptions, SqliteStore, UpkeepStore,
};

/// A database, as what it holds: the names and the graph, and those who may use them.
pub(super) struct Database {
    pub(super) metadata: Arc<dyn MetadataStore>,
    pub(super) accounts: Arc<dyn AccountStore>,
    pub(super) upkeep: Arc<dyn UpkeepStore>,
}

impl<S: MetadataStore + AccountStore + UpkeepStore> From<S> for Database {
    fn from(store: S) -> Self {
        let store = Arc::new(store);
        Self { metadata: store.clone(), accounts: store.clone(), upkeep: store }
    }
}

/// Opens the database that a configuration names, making what is missing.
pub(super) async fn open(config: &Config, follower: Follower) -> Result<Database> {
    Ok(match &config.metadata.url {
        Some(url) => PostgresStore::open(postgres(config, url, follower)).await?.into(),
        None => SqliteStore::open(sqlite(config, follower)?).await?.into(),
    })
}

/// How to open the database in PostgreSQL.
pub(super) fn postgres(config: &Config, url: &Secret, follower: Follower) -> PostgresOptions {
    let settings = &config.metadata.postgres;
    let exposed = |secret: &Secret| secret.expose().to_owned();
    PostgresOptions {
        url: exposed(url),
        password: settings.password.as_ref().map(exposed),
        connections: settings.connections,
        pooling: match settings.pooling {
            berth_config::Pooling::Session => Pooling::Session,
            berth_config::Pooling::Transaction => Pooling::Transaction,
        },
        standbys: settings.standbys.iter().map(exposed).collect(),
        standby_wait: settings.standbywait.get(),
        timeout: settings.timeout.get(),
        cache_bytes: settings.cachesize.bytes(),
        follower,
    }
}

/// How to open the embedded database. Its directory is made.
fn sqlite(config: &Config, follower: Follower) -> Result<SqliteOptions> {
    let location = match config.database_path() {
        Some(path) => {
            make_folder_of(&path)?;
            SqliteLocation::File(path)
        }
        None => SqliteLocation::Memory,
    };
    Ok(SqliteOptions {
        location,
        readers: config.metadata.sqlite.readers,
        cache_bytes: config.metadata.sqlite.cachesize.bytes(),
        follower,
    })
}

pub(super) fn make_folder_of(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Some(folder) = folder else { return Ok(()) };
    std::fs::create_dir_all(folder).with_context(|| {
        format!("the directory {} (metadata.sqlite.path) cannot be made", folder.display())
    })
}

/// Whether the database can come to be used with other blobs than its own: it does not stand beside
/// them.
pub(super) fn stands_apart(config: &Config) -> bool {
    config.metadata.url.is_some() || config.storage.remote().is_some()
}

/// What all replicas of one database must agree on: which blobs they are. The way there, by this
/// endpoint or that one, is each replica's own.
pub(super) fn storage_identity(config: &Config) -> String {
    let named = |name: &Option<String>| name.clone().unwrap_or_default();
    let Some(remote) = config.storage.remote() else {
        let root = super::stores::absolute_root(config);
        return format!("the directory {root} ({})", config.storage.driver().name());
    };
    let (place, directory) = match remote.driver {
        RemoteDriver::S3(s3) => (format!("the bucket {}", named(&s3.bucket)), &s3.rootdirectory),
        RemoteDriver::Azure(azure) => {
            let (container, account) = (named(&azure.container), named(&azure.accountname));
            (format!("the container {container} of {account}"), &azure.rootdirectory)
        }
        RemoteDriver::Gcs(gcs) => {
            (format!("the bucket {}", named(&gcs.bucket)), &gcs.rootdirectory)
        }
        RemoteDriver::Swift(swift) => {
            (format!("the container {}", named(&swift.container)), &swift.prefix)
        }
        RemoteDriver::Oss(oss) => {
            (format!("the bucket {}", named(&oss.bucket)), &oss.rootdirectory)
        }
    };
    match directory.as_deref().map(|directory| directory.trim_matches('/')) {
        None | Some("") => format!("{place} ({})", remote.name),
        Some(directory) => format!("{place}, directory {directory} ({})", remote.name),
    }
}
