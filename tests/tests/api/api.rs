//! A registry inside of the test: the real listener, stores and services, on a free loopback port.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use berth_config::Config;
use berth_metadata::{
    AccountStore, Follower, MetadataStore, SqliteLocation, SqliteOptions, SqliteStore,
};
use berth_registry::http::App;
use berth_registry::server::{Listener, Server};
use berth_registry::{AccessControl, AccessLog, BackgroundTasks, Registry};
use berth_storage_backends::{BlobStore, FilesystemStore, InMemoryStore, open_remote};
use berth_tests::content::{Blob, Manifest};
use berth_tests::wire::{self, Answer, Connection, Request, get, head, post, put};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::faulty_store::Faults;
use crate::object_store;

/// Settings in the form of the registry's environment.
pub(crate) type Settings<'a> = &'a [(&'a str, &'a str)];

/// A running registry. Dropping it stops it in good order.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    registry: Arc<Registry>,
    place: Place,
    log: Captured,
    running: Option<Running>,
    runtime: Runtime,
}

/// Where a registry keeps its blobs.
#[derive(Clone, Debug)]
enum Place {
    Files(Arc<TempDir>),
    Memory,
    /// In a store on another server, which these settings name.
    Store(Vec<(String, String)>),
}

struct Running {
    server: Server,
    app: Arc<App>,
    access_log: AccessLog,
    background: BackgroundTasks,
    metadata: Arc<dyn MetadataStore>,
    accounts: Arc<dyn AccountStore>,
}

impl Api {
    /// One registry on the filesystem, then one in memory, then one on an S3 server, all with deletion allowed.
    pub(crate) fn each() -> impl Iterator<Item = Self> {
        Self::each_with(&[])
    }

    /// The same with settings. Each is started when it is asked for, and panics when it cannot be.
    pub(crate) fn each_with(settings: Settings<'_>) -> impl Iterator<Item = Self> {
        let starts = [Self::on_files, Self::in_memory, Self::on_s3];
        starts.into_iter().map(|start| match start(settings) {
            Ok(api) => api,
            Err(error) => panic!("no registry: {error:#}"),
        })
    }

    /// On an empty tree that vanishes with the registry.
    pub(crate) fn on_files(settings: Settings<'_>) -> Result<Self> {
        Self::start(Place::Files(Arc::new(tempfile::tempdir()?)), settings, &Faults::new())
    }

    /// In memory.
    pub(crate) fn in_memory(settings: Settings<'_>) -> Result<Self> {
        Self::start(Place::Memory, settings, &Faults::new())
    }

    /// In a folder of its own on an S3 server, which clients are not sent to.
    pub(crate) fn on_s3(settings: Settings<'_>) -> Result<Self> {
        let mut place = object_store::settings(&object_store::server()?.endpoint)?;
        place.push(("REGISTRY_STORAGE_REDIRECT_DISABLE", "true".to_owned()));
        Self::start(Place::Store(owned(place)), settings, &Faults::new())
    }

    /// In an object store, as these settings say.
    pub(crate) fn on_store(settings: Vec<(String, String)>) -> Result<Self> {
        Self::start(Place::Store(settings), &[], &Faults::new())
    }

    /// Over a store that fails as told.
    pub(crate) fn over(faults: &Faults, on_files: bool) -> Result<Self> {
        let place = match on_files {
            true => Place::Files(Arc::new(tempfile::tempdir()?)),
            false => Place::Memory,
        };
        Self::start(place, &[], faults)
    }

    /// Stops it and starts another on the same tree.
    pub(crate) fn restart(self, settings: Settings<'_>) -> Result<Self> {
        let place = self.place.clone();
        ensure!(self.has_files(), "what is in memory cannot be restarted");
        drop(self);
        Self::start(place, settings, &Faults::new())
    }

    /// Puts other settings in force, as SIGHUP does.
    pub(crate) fn reload(&self, settings: Settings<'_>) -> Result<()> {
        self.registry.reload(Arc::new(configuration(&self.place, settings)?));
        Ok(())
    }

    /// Works on the accounts of the database, as another process beside this registry would.
    pub(crate) fn with_accounts<T, F: Future<Output = Result<T>>>(
        &self,
        work: impl FnOnce(Arc<dyn AccountStore>) -> F,
    ) -> Result<T> {
        let running = self.running.as_ref().context("it has stopped")?;
        self.runtime.block_on(work(running.accounts.clone()))
    }

    /// The root directory.
    pub(crate) fn root(&self) -> Result<&Path> {
        match &self.place {
            Place::Files(root) => Ok(root.path()),
            _ => bail!("there is no tree"),
        }
    }

    /// Whether blobs are files.
    pub(crate) fn has_files(&self) -> bool {
        matches!(self.place, Place::Files(_))
    }

    /// Whether blobs are in a store on another server.
    pub(crate) fn is_on_store(&self) -> bool {
        matches!(self.place, Place::Store(_))
    }

    /// What the access log holds, once the registry has stopped.
    pub(crate) fn stop_and_read_log(mut self) -> Result<String> {
        self.shut_down();
        Ok(String::from_utf8(self.log.bytes())?)
    }

    /// Sends a request over a connection of its own.
    pub(crate) fn send(&self, request: &Request) -> Result<Answer> {
        wire::send(self.address, request)
    }

    /// Opens a connection.
    pub(crate) fn connect(&self) -> Result<Connection> {
        Connection::open(self.address)
    }

    /// GET.
    pub(crate) fn get(&self, target: &str) -> Result<Answer> {
        self.send(&get(target))
    }

    /// HEAD.
    pub(crate) fn head(&self, target: &str) -> Result<Answer> {
        self.send(&head(target))
    }

    /// DELETE.
    pub(crate) fn delete(&self, target: &str) -> Result<Answer> {
        self.send(&wire::delete(target))
    }

    /// Opens an upload session and gives its location.
    pub(crate) fn begin(&self, repository: &str) -> Result<String> {
        self.send(&post(format!("/v2/{repository}/blobs/uploads/")))?.expect(202)?.location()
    }

    /// Pushes a blob in one request.
    pub(crate) fn push_blob(&self, repository: &str, blob: &Blob) -> Result<()> {
        let target = format!("/v2/{repository}/blobs/uploads/?digest={}", blob.digest);
        self.send(&post(target).body(blob.bytes.clone()))?.expect(201)?;
        Ok(())
    }

    /// Pushes a manifest by tag or digest.
    pub(crate) fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        manifest: &Manifest,
    ) -> Result<Answer> {
        let request = put(format!("/v2/{repository}/manifests/{reference}"))
            .header("Content-Type", &manifest.media_type)
            .body(manifest.bytes.clone());
        self.send(&request)
    }

    /// Pushes an image of a config and a layer made from `seed`, under a tag.
    pub(crate) fn push_image(&self, repository: &str, tag: &str, seed: u64) -> Result<Manifest> {
        let (config, layer) = (Blob::random(2 * seed, 100), Blob::random(2 * seed + 1, 1000));
        self.push_blob(repository, &config)?;
        self.push_blob(repository, &layer)?;
        let manifest = Manifest::image(&config, &[&layer]);
        self.push_manifest(repository, tag, &manifest)?.expect(201)?;
        Ok(manifest)
    }

    /// Checks that a blob can be read, byte for byte.
    pub(crate) fn expect_blob(&self, repository: &str, blob: &Blob) -> Result<()> {
        let answer = self.get(&format!("/v2/{repository}/blobs/{}", blob.digest))?.expect(200)?;
        ensure!(answer.body == blob.bytes, "{} came back changed", blob.digest);
        Ok(())
    }

    /// The value of a series of the metrics, `None` while there is none.
    pub(crate) fn metric(&self, series: &str) -> Result<Option<f64>> {
        let text = String::from_utf8(self.get("/metrics")?.expect(200)?.body)?;
        Ok(text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok()))
    }

    /// How many bytes of request bodies were read so far.
    pub(crate) fn received_bytes(&self) -> Result<f64> {
        self.metric("berth_http_received_bytes_total")?.context("no count of received bytes")
    }

    fn start(place: Place, settings: Settings<'_>, faults: &Faults) -> Result<Self> {
        println!("--- a registry in {place:?}");
        let config = Arc::new(configuration(&place, settings)?);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let log = Captured::default();
        let (address, registry, running) = runtime.block_on(run(config, log.clone(), faults))?;
        Ok(Self { address, registry, place, log, running: Some(running), runtime })
    }

    fn shut_down(&mut self) {
        let Some(running) = self.running.take() else { return };
        let Running { server, app, access_log, background, metadata, .. } = running;
        self.runtime.block_on(async {
            server.drain(&app, Duration::from_secs(10)).await;
            background.stop().await;
            metadata.close().await;
        });
        access_log.close();
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Settings as a configuration takes them.
pub(crate) fn owned(settings: Vec<(&str, String)>) -> Vec<(String, String)> {
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn configuration(place: &Place, settings: Settings<'_>) -> Result<Config> {
    let mut environment = owned(vec![
        ("REGISTRY_HTTP_ADDR", "127.0.0.1:0".to_owned()),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "true".to_owned()),
    ]);
    match place {
        Place::Files(root) => environment.push((
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY".to_owned(),
            root.path().display().to_string(),
        )),
        Place::Memory => environment.push(("REGISTRY_STORAGE".to_owned(), "inmemory".to_owned())),
        Place::Store(settings) => environment.extend(settings.iter().cloned()),
    }
    for (name, value) in settings {
        environment.retain(|(given, _)| given != name);
        environment.push(((*name).to_owned(), (*value).to_owned()));
    }
    Ok(Config::parse("version: 0.1\n", environment)?.config)
}

fn open_blobs(config: &Config) -> Result<Arc<dyn BlobStore>> {
    if let Some(root) = config.root_directory() {
        return Ok(Arc::new(FilesystemStore::open(root)?));
    }
    match config.storage.remote() {
        Some(remote) => Ok(open_remote(remote)?),
        None => Ok(Arc::new(InMemoryStore::new())),
    }
}

/// What `berth serve` does, but for its signals.
async fn run(
    config: Arc<Config>,
    log: Captured,
    faults: &Faults,
) -> Result<(SocketAddr, Arc<Registry>, Running)> {
    let blobs = faults.around(open_blobs(&config)?);
    let store = Arc::new(
        SqliteStore::open(SqliteOptions {
            location: match config.database_path() {
                Some(path) if config.root_directory().is_some() => SqliteLocation::File(path),
                _ => SqliteLocation::Memory,
            },
            readers: 2,
            cache_bytes: config.metadata.sqlite.cachesize.bytes(),
            follower: match blobs.link_tree() {
                Some(_) => Follower::Tree,
                None => Follower::None,
            },
        })
        .await?,
    );
    let access = AccessControl::open(&config, store.clone()).await?;
    let (metadata, accounts): (Arc<dyn MetadataStore>, Arc<dyn AccountStore>) =
        (store.clone(), store);
    let registry = Registry::new(config.clone(), blobs, metadata.clone());
    let registry = Arc::new(registry.with_access(access));
    let access_log = AccessLog::new(log, false);
    let app = Arc::new(App::new(registry.clone(), Some(access_log.clone()), Some("/metrics")));
    let server = Server::new(config.http.limits.connections);
    let listener = Listener::bind(&config.http.listen().map_err(anyhow::Error::msg)?).await?;
    let address = listener.address().parse()?;
    let background = BackgroundTasks::start(&registry);
    tokio::spawn(server.listen(listener, app.clone()));
    Ok((address, registry, Running { server, app, access_log, background, metadata, accounts }))
}

/// A writer whose bytes can be looked at.
#[derive(Clone, Debug, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
