use std::io::Write;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use berth_config::{Config, Listen, LogFormatter};
use berth_metadata::MetadataStore;
use berth_mirror::Mirrors;
use berth_registry::control::{self, ControlSocket, Told};
use berth_registry::http::App;
use berth_registry::server::{Listener, Server, Tls, TlsWatch};
use berth_registry::{AccessControl, AccessLog, BackgroundTasks, Registry};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::commands::{ahead, backup, stores};

/// How much may be told of an import before it is logged.
const TOLD: usize = 64;

/// A registry that answers requests.
pub(super) struct Running {
    pub(super) registry: Arc<Registry>,
    metadata: Arc<dyn MetadataStore>,
    access_log: AccessLog,
    app: Arc<App>,
    server: Server,
    background: BackgroundTasks,
    control: Option<ControlSocket>,
    pub(super) tls_watch: Option<TlsWatch>,
}

impl Running {
    /// Opens everything, and listens when all of it can be used. Dropped before its end, it has served nobody.
    pub(super) async fn start(config: Arc<Config>) -> Result<Self> {
        let tls = Tls::load(&config.http)?.map(Arc::new);
        for notice in tls.iter().flat_map(|tls| tls.notices()) {
            warn!("{notice}");
        }
        let stores = stores::open(&config).await?;
        if config.storage.remote().is_some() {
            // A wrong bucket or key is better told now than to whoever pushes first.
            stores::check(&config, &stores).await?;
        }
        let metadata = stores.metadata.clone();
        let mirrors = Mirrors::new(&config)?;
        let access = AccessControl::open(&config, stores.accounts.clone()).await?;
        let registry = Registry::new(config.clone(), stores.blobs, stores.metadata);
        let registry = registry.with_accounts(stores.accounts).with_upkeep(stores.upkeep);
        // Without a file or a server there is nothing to back up.
        let registry = registry.with_backups_of(backup::source(&config).ok());
        let registry = registry.with_push_observer(ahead::start(&config)?);
        let registry = Arc::new(registry.with_access(access).with_mirrors(mirrors));
        adopt(&config, &registry).await?;

        let access_log = AccessLog::new(std::io::stdout(), is_json(&config));
        let listen = config.http.listen().map_err(|error| anyhow!(error))?;
        let listener = Listener::bind(&listen).await?;
        let listener = match &tls {
            Some(tls) => listener.with_tls(tls.clone()),
            None => listener,
        };
        greet(&config, &listener.address(), &metadata.name())?;
        let server = Server::new(config.http.limits.connections);
        let debug_address = config.http.debug.addr.as_deref();
        // Metrics are for operators. Where callers are told apart they are not for all of them.
        let metrics_on_main =
            (debug_address.is_none() && !config.auth.is_enabled()).then_some("/metrics");
        let app = Arc::new(App::new(registry.clone(), Some(access_log.clone()), metrics_on_main));
        if let Some(address) = debug_address {
            let listen =
                Listen::tcp(address).map_err(|error| anyhow!("http.debug.addr: {error}"))?;
            let prometheus = &config.http.debug.prometheus;
            let metrics_path = prometheus.enabled.then_some(prometheus.path.as_str());
            let debug = Arc::new(App::new(registry.clone(), None, metrics_path));
            tokio::spawn(server.listen(Listener::bind(&listen).await?, debug));
        }
        let background = BackgroundTasks::start(&registry);
        let control = control_socket(&config, &registry);
        let tls_watch = tls.map(|tls| TlsWatch::start(tls, &registry));
        tokio::spawn(server.listen(listener, app.clone()));
        Ok(Self { registry, metadata, access_log, app, server, background, control, tls_watch })
    }

    /// Finishes what is in flight, and writes down what is to be.
    pub(super) async fn stop(self) {
        let limit = self.registry.config().http.draintimeout.get();
        if !self.server.drain(&self.app, limit).await {
            warn!(
                "some requests did not end within http.draintimeout; their clients have to try again"
            );
        }
        drop(self.control);
        self.background.stop().await;
        self.metadata.close().await;
        self.access_log.close();
    }
}

/// Takes over the tree of another registry, where one lies in the storage that the database knows nothing
/// of, or says that it could.
async fn adopt(config: &Config, registry: &Arc<Registry>) -> Result<()> {
    if !registry.has_unadopted_tree().await? {
        return Ok(());
    }
    if !config.storage.adopt {
        warn!(
            "the storage holds the tree of another registry, which is not served yet: run `berth import`, or set storage.adopt (REGISTRY_STORAGE_ADOPT=true)"
        );
        return Ok(());
    }
    info!(
        "the storage holds the tree of another registry; it is taken over before requests are answered"
    );
    let (tell, mut told) = mpsc::channel(TOLD);
    let log = tokio::spawn(async move {
        while let Some(told) = told.recv().await {
            if let Told::Found(finding) = told {
                warn!("{finding}");
            }
        }
    });
    registry.import(&tell).await?;
    drop(tell);
    Ok(log.await?)
}

/// Where commands reach this process while it has the database; they reach a server of databases
/// themselves.
fn control_socket(config: &Config, registry: &Arc<Registry>) -> Option<ControlSocket> {
    let database = config.database_path().filter(|_| config.metadata.url.is_none())?;
    let socket = control::socket_path(&database);
    match control::listen(&socket, registry.clone()) {
        Ok(control) => Some(control),
        Err(error) => {
            let socket = socket.display();
            warn!(%socket, %error, "commands cannot reach this berth: the socket cannot be made");
            None
        }
    }
}

/// Tells a person where everything is and what to try. In JSON it would be in the way.
fn greet(config: &Config, address: &str, database: &str) -> Result<()> {
    let data = stores::whereabouts(config);
    info!(%address, data, database, "listening");
    if is_json(config) {
        return Ok(());
    }
    let host = address.replace("127.0.0.1", "localhost").replace("[::]", "localhost");
    let mut out = std::io::stdout().lock();
    let scheme = if config.http.tls.pair().is_some() { "https" } else { "http" };
    writeln!(out, "Berth {} listens on {scheme}://{address}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "  data     {data}")?;
    if config.metadata.url.is_some() {
        writeln!(out, "  names    {database}")?;
    }
    writeln!(out, "  try it   docker tag busybox {host}/busybox")?;
    writeln!(out, "           docker push {host}/busybox")?;
    Ok(out.flush()?)
}

fn is_json(config: &Config) -> bool {
    config.log.formatter != LogFormatter::Text
}
