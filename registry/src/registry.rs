use std::sync::Arc;

use arc_swap::ArcSwap;
use berth_client::RegistryClient;
use berth_config::Config;
use berth_metadata::{AccountStore, MetadataStore, UpkeepStore};
use berth_mirror::Mirrors;
use berth_storage_backends::BlobStore;
use tokio::sync::{RwLock, Semaphore};
use tokio_util::task::TaskTracker;

use crate::audit::AuditLog;
use crate::backup::BackupSource;
use crate::journal::JournalPlace;
use crate::notifications::Notifications;
use crate::observe::Metrics;
use crate::rates::Consumption;
use crate::retention::PullLog;
use crate::scrub::{Samples, peers};
use crate::services::{Mirroring, StorageHealth};
use crate::{AccessControl, PushObserver, RegistryError};

/// The registry: two stores, the configuration, and the services over them.
///
/// Services are `impl` blocks of this type, one file a subject under `services/`.
#[derive(Debug)]
pub struct Registry {
    pub(crate) config: ArcSwap<Config>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) metadata: Arc<dyn MetadataStore>,
    /// Memory for upload bodies that are on their way to the store, in KiB.
    pub(crate) upload_memory: Arc<Semaphore>,
    pub(crate) metrics: Metrics,
    pub(crate) notifications: Notifications,
    pub(crate) pull_log: PullLog,
    pub(crate) health: StorageHealth,
    /// The repositories whose content comes from other registries.
    pub(crate) mirror: Mirroring,
    /// Who may use it; nothing where everybody may do everything.
    pub(crate) access: Option<Arc<AccessControl>>,
    /// Who did what; kept where callers are told apart.
    pub(crate) audit: Option<AuditLog>,
    /// How much callers and repositories take, where that is limited.
    pub(crate) consumption: Consumption,
    /// The accounts, whether or not anybody has to say who they are.
    pub(crate) accounts: Option<Arc<dyn AccountStore>>,
    /// What keeps the database true to the storage, where that can be done.
    pub(crate) upkeep: Option<Arc<dyn UpkeepStore>>,
    /// What backups are made of, where they are made.
    pub(crate) backup_source: Option<BackupSource>,
    /// Where good bytes of damaged blobs may be had, in the order in which they are asked.
    pub(crate) peers: Vec<RegistryClient>,
    pub(crate) samples: Samples,
    /// Where the journal ends, where there is one.
    pub(crate) journal: JournalPlace,
    /// Who is told of what clients push, in this process.
    pub(crate) push_observer: Option<Arc<dyn PushObserver>>,
    /// Written by whoever needs the storage tree's link files to stand still, read by those that write them.
    pub(crate) links_turn: RwLock<()>,
    /// Requests that change something, each a task that outlives its connection.
    pub(crate) writes: TaskTracker,
}

impl Registry {
    /// A registry over two stores.
    pub fn new(
        config: Arc<Config>,
        blobs: Arc<dyn BlobStore>,
        metadata: Arc<dyn MetadataStore>,
    ) -> Self {
        let upload_memory = config.http.limits.uploadmemory.bytes() / 1024;
        // Never less than two batches, or no upload could overlap reading and writing.
        let upload_memory = usize::try_from(upload_memory).unwrap_or(usize::MAX).max(1024);
        let metrics = Metrics::new();
        let pull_log = PullLog::default();
        pull_log.follow(&config.policy);
        Self {
            notifications: Notifications::new(&config, metrics.events.clone()),
            peers: peers(&config.storage.scrub),
            config: ArcSwap::new(config),
            blobs,
            metadata,
            upload_memory: Arc::new(Semaphore::new(upload_memory.min(Semaphore::MAX_PERMITS))),
            metrics,
            pull_log,
            health: StorageHealth::default(),
            mirror: Mirroring::default(),
            access: None,
            audit: None,
            consumption: Consumption::new(),
            accounts: None,
            upkeep: None,
            backup_source: None,
            samples: Samples::default(),
            journal: JournalPlace::default(),
            push_observer: None,
            links_turn: RwLock::new(()),
            writes: TaskTracker::new(),
        }
    }

    /// The same registry, for those alone who may use it.
    #[must_use]
    pub fn with_access(self, access: Option<AccessControl>) -> Self {
        let audit = access.as_ref().map(|access| AuditLog::new(access.store().clone()));
        Self { access: access.map(Arc::new), audit, ..self }
    }

    /// The same registry, with repositories whose content comes from others.
    #[must_use]
    pub fn with_mirrors(self, mirrors: Mirrors) -> Self {
        if !mirrors.bounds().is_empty() {
            self.pull_log.note_for_mirrors();
        }
        Self { mirror: Mirroring::new(mirrors), ..self }
    }

    /// The same registry, with the accounts that can be administered.
    #[must_use]
    pub fn with_accounts(self, accounts: Arc<dyn AccountStore>) -> Self {
        Self { accounts: Some(accounts), ..self }
    }

    /// The same registry, with what keeps its database true to its storage.
    #[must_use]
    pub fn with_upkeep(self, upkeep: Arc<dyn UpkeepStore>) -> Self {
        Self { upkeep: Some(upkeep), ..self }
    }

    /// The same registry, with a database that is backed up.
    #[must_use]
    pub fn with_backups_of(self, source: Option<BackupSource>) -> Self {
        Self { backup_source: source, ..self }
    }

    /// The same registry, with somebody who is told of what clients push.
    #[must_use]
    pub fn with_push_observer(self, observer: Option<Arc<dyn PushObserver>>) -> Self {
        Self { push_observer: observer, ..self }
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Puts another configuration in force for the requests that begin from now on. What needs a
    /// restart keeps its old value.
    pub fn reload(&self, config: Arc<Config>) {
        self.pull_log.follow(&config.policy);
        if let Some(access) = &self.access {
            access.reload(&config.auth);
        }
        self.config.store(config);
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.config.load().storage.maintenance.readonly.enabled
    }

    pub(crate) fn refuse_when_read_only(&self) -> Result<(), RegistryError> {
        match self.is_read_only() {
            true => Err(RegistryError::ReadOnlyMode),
            false => Ok(()),
        }
    }

    pub(crate) fn refuse_when_delete_disabled(&self) -> Result<(), RegistryError> {
        self.refuse_when_read_only()?;
        match self.config.load().storage.delete.enabled {
            true => Ok(()),
            false => Err(RegistryError::DeleteDisabled),
        }
    }
}
