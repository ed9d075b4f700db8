//! The whole configuration.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::storage::Driver;
use crate::{
    Audit, Auth, Catalog, Engine, Health, Http, Log, Metadata, Mirror, Notifications, Opaque,
    Policy, Proxy, Storage, Validation,
};

/// The only version of the file format there is.
pub(crate) const VERSION: &str = "0.1";

/// Where blobs go when a configuration file leaves `storage.filesystem.rootdirectory` out, as in `registry:2`.
pub(crate) const ROOT_WITH_FILE: &str = "/var/lib/registry";

/// Where blobs go when there is no configuration file.
pub(crate) const ROOT_WITHOUT_FILE: &str = "./berth-data";

/// The name of the database in the directory it is in.
pub(crate) const DATABASE: &str = "berth.db";

/// The configuration of a Berth registry: a superset of `registry:2`'s `config.yml`. Every key has a default that works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Version of the file format. There is only `0.1`.
    #[schemars(extend("type" = ["string", "number"]))]
    pub version: String,
    /// What is logged, and how.
    pub log: Log,
    /// Log level of early `registry:2` files.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "it gave way to `log.level`: set that"))]
    pub loglevel: Opaque,
    /// Where blobs are kept. Exactly one driver is named; without any it is `filesystem`.
    pub storage: Storage,
    /// How the registry listens and answers.
    pub http: Http,
    /// What a manifest must fulfil to be accepted.
    #[schemars(extend("x-berth-reload" = true))]
    pub validation: Validation,
    /// The list of repositories, `/v2/_catalog`.
    #[schemars(extend("x-berth-reload" = true))]
    pub catalog: Catalog,
    /// The container engine on this machine (`berth run`, `berth pull`). Where it is named, layers of images that clients
    /// push are made ready to be mounted, so that a pull here has nothing left to do. It needs Linux, and
    /// `storage.filesystem`.
    pub engine: Engine,
    /// Periodic checks of what the registry depends on.
    pub health: Health,
    /// The database of names: repositories, tags, manifests, links and upload sessions.
    pub metadata: Metadata,
    /// Who may use the registry, and how they show who they are.
    pub auth: Auth,
    /// Who did what, and who was not let do it.
    pub audit: Audit,
    /// Pull-through cache of one other registry, as with `registry:2`.
    pub proxy: Proxy,
    /// Repositories whose content comes from other registries.
    pub mirrors: Vec<Mirror>,
    /// Webhooks on pushes, pulls, mounts and deletes.
    pub notifications: Notifications,
    /// Plug-ins around the registry, repositories and storage.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-refused" = "this build of berth has no middleware: remove the section; a CDN or a rewriting proxy goes in front of `http.addr`"))]
    pub middleware: Opaque,
    /// Redis, as a cache of blob descriptors.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "berth needs no Redis: descriptors are in SQL and cached in memory"))]
    pub redis: Opaque,
    /// Error reporting to Bugsnag or New Relic.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "errors are in the log; nothing is sent to a reporting service"))]
    pub reporting: Opaque,
    /// Settings for Docker schema 1 manifests.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "Docker schema 1 manifests are always refused"))]
    pub compatibility: Opaque,
    /// Which tags stay as they are, and which go by themselves.
    #[schemars(extend("x-berth-reload" = true))]
    pub policy: Policy,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: VERSION.to_owned(),
            log: Log::default(),
            loglevel: Opaque,
            storage: Storage::default(),
            http: Http::default(),
            validation: Validation::default(),
            catalog: Catalog::default(),
            engine: Engine::default(),
            health: Health::default(),
            metadata: Metadata::default(),
            auth: Auth::default(),
            audit: Audit::default(),
            proxy: Proxy::default(),
            mirrors: Vec::new(),
            notifications: Notifications::default(),
            middleware: Opaque,
            redis: Opaque,
            reporting: Opaque,
            compatibility: Opaque,
            policy: Policy::default(),
        }
    }
}

impl Config {
    /// The mirrors that are configured, in either of the two ways.
    pub fn all_mirrors(&self) -> Vec<Mirror> {
        match self.proxy.as_mirror() {
            Some(mirror) => vec![mirror],
            None => self.mirrors.clone(),
        }
    }

    /// The directory that holds blobs and, unless told otherwise, the database; `None` when blobs are in memory or in a
    /// remote store.
    ///
    /// It is `storage.filesystem.rootdirectory`. [`Config::load`] fills that key in when it is missing:
    /// `/var/lib/registry` (as in `registry:2`) when there is a configuration file, `./berth-data` when there is none,
    /// which is also what a `Config::default()` gives.
    pub fn root_directory(&self) -> Option<&Path> {
        match self.storage.driver() {
            Driver::Filesystem => {
                let named = self
                    .storage
                    .filesystem
                    .as_ref()
                    .and_then(|filesystem| filesystem.rootdirectory.as_deref());
                Some(named.unwrap_or(Path::new(ROOT_WITHOUT_FILE)))
            }
            _ => None,
        }
    }

    /// The SQLite file: `metadata.sqlite.path`, or `berth.db` in the [root directory](Self::root_directory);
    /// `None` when blobs, and so metadata, are in memory.
    ///
    /// With blobs in a remote store [`Config::load`] fills `metadata.sqlite.path` in when it is missing, with
    /// `berth.db` where the root directory would be.
    pub fn database_path(&self) -> Option<PathBuf> {
        if self.storage.driver() == Driver::InMemory {
            return None;
        }
        let root = self.root_directory().unwrap_or(Path::new(ROOT_WITHOUT_FILE));
        Some(self.metadata.sqlite.path.clone().unwrap_or_else(|| root.join(DATABASE)))
    }

    /// The effective configuration as YAML, for people. Secrets read `<redacted>`; sections that have no effect
    /// are left out.
    pub fn show(&self) -> String {
        // Every value in the tree serialises to a scalar, a list or a map with text keys, so this cannot fail.
        yaml_serde::to_string(self).unwrap_or_default()
    }

    /// The JSON Schema (draft 2020-12) of the file, for editors and for `berth config schema`.
    pub fn schema() -> serde_json::Value {
        crate::schema::json().clone()
    }
}
