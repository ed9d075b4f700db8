use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{Digest, Reference, RepositoryName, RepositoryPrefix, Tag, UploadId};
use sqlx::Row;
use tokio::sync::Notify;
use uuid::Uuid;

use super::connections::Connections;
use super::engine::{Engine, Operation, read, within};
use super::explain::{explain, explain_opening};
use super::known::Known;
use super::lookups::Lookups;
use super::migrations::{self, migrate};
use super::options::PostgresOptions;
use super::servers::{Role, Servers};
use super::session::Session;
use super::standbys::Standbys;
use super::{
    blobs, collection, deletion, events, eviction, expiry, jobs, links, manifests, mirrored,
    outbox, referrers, repositories, restore, settings, tags, untagged, uploads, usage,
};
use crate::events::POLL;
use crate::fault::Fault;
use crate::lifecycle::Removal;
use crate::{
    BlobLocation, BlobRecord, CollectionBacklog, DeleteManifest, DeletedManifest, Deletion,
    DeletionId, DueLink, EventCount, EventId, ExpiredManifests, FetchKey, FinishedUpload,
    GarbageId, HeldUpload, Job, Keep, LinkCursor, LinkedBlob, ManifestRecord, MetadataError,
    MetadataStore, MirroredTag, MountSource, NewEvent, NewManifest, NewUpload, OutboxEntry,
    OutboxId, Page, ProtectedTags, PutManifest, RecordedEvent, RecordedUpload, Referrer,
    ReferrerCursor, Restore, ReviewedLinks, TagUse, TakenGarbage, UntaggedLook, UntaggedManifests,
    UntaggedSearch, Upload, UploadProgress, Usage,
};

/// The oldest server that the tests have seen everything work on.
const LEAST_SERVER: u32 = 14;

/// How often the outbox is looked at: another process may have filled it.
const OUTBOX_POLL: Duration = Duration::from_secs(2);

/// The [`MetadataStore`] in PostgreSQL, which any number of processes share.
#[derive(Debug)]
pub struct PostgresStore {
    name: String,
    pub(super) engine: Arc<Engine>,
    pub(super) standbys: Standbys,
    manifests: Lookups<(RepositoryName, Reference), Option<Arc<ManifestRecord>>>,
    blobs: Lookups<(RepositoryName, Digest), Option<LinkedBlob>>,
    /// The generation of the policy.
    pub(super) generations: Lookups<(), u64>,
    known: Known,
    outbox_filled: Notify,
}

impl PostgresStore {
    /// Connects to the database and brings it to the present schema. Must be called inside of a
    /// Tokio runtime.
    ///
    /// # Errors
    /// [`MetadataError::Connect`], [`MetadataError::ServerTooOld`], [`MetadataError::TooNew`],
    /// [`MetadataError::Foreign`] and [`MetadataError::NoSpace`], as they say.
    pub async fn open(options: PostgresOptions) -> Result<Self, MetadataError> {
        let servers = Servers::new(&options.url, Role::Primary, &options)?;
        let database = servers.name();
        let connections = Connections::new(servers, options.connections.max(2));
        Self::look(&connections, &database).await?;
        let engine = Engine {
            connections,
            process: Uuid::new_v4(),
            follower: options.follower,
            timeout: options.timeout,
            events_filled: Notify::new(),
        };
        let store = Self {
            name: database,
            engine: Arc::new(engine),
            standbys: Standbys::new(&options)?,
            manifests: Lookups::new(),
            blobs: Lookups::new(),
            generations: Lookups::new(),
            known: Known::new(options.cache_bytes),
            outbox_filled: Notify::new(),
        };
        // Entries may have been left.
        store.outbox_filled.notify_one();
        store.engine.events_filled.notify_one();
        Ok(store)
    }

    /// Whether the database can be used, once it is on the present schema.
    async fn look(connections: &Connections, database: &str) -> Result<(), MetadataError> {
        let opening = |fault: Fault| explain_opening(fault, database);
        let mut lease = connections.acquire().await.map_err(opening)?;
        prepare(&mut lease, database).await?;
        lease.begin_read().await.map_err(opening)?;
        let closed = settings::closed(&mut lease).await.map_err(opening)?;
        lease.end_read().await.map_err(opening)?;
        lease.keep();
        match closed {
            Some(reason) => {
                Err(MetadataError::ClosedForUse { database: database.to_owned(), reason })
            }
            None => Ok(()),
        }
    }

    pub(super) async fn write<O: Operation>(
        &self,
        operation: O,
    ) -> Result<O::Output, MetadataError> {
        self.try_to_write(operation).await.map_err(explain)
    }

    async fn try_to_write<O: Operation>(&self, operation: O) -> Result<O::Output, Fault> {
        let engine = Arc::clone(&self.engine);
        // A task of its own: a request that goes leaves no transaction open half-way.
        let written = tokio::spawn(async move { engine.write(&operation).await }).await;
        let outcome = written.map_err(|error| Fault::Unavailable(error.to_string()));
        let outcome = outcome.flatten();
        if outcome.is_ok() && self.engine.follower.is_told() {
            self.outbox_filled.notify_one();
        }
        outcome
    }
}

/// Looks at the server, and brings the schema to the present.
async fn prepare(session: &mut Session, database: &str) -> Result<(), MetadataError> {
    look_at_server(session, database).await?;
    let migrated = migrate(session, migrations::STEPS).await;
    migrated.map_err(|error| error.explain(database, |fault| explain_opening(fault, database)))
}

async fn look_at_server(session: &mut Session, database: &str) -> Result<(), MetadataError> {
    let opening = |fault: Fault| explain_opening(fault, database);
    // In one message, as everything outside of transactions that a pooler may see.
    let version = sqlx::raw_sql("SHOW server_version_num").fetch_one(session.connection()).await;
    let version: String =
        version.and_then(|row| row.try_get(0)).map_err(|error| opening(error.into()))?;
    // The last four digits are the minor version.
    let found = version.parse::<u32>().unwrap_or(0) / 10_000;
    if found < LEAST_SERVER {
        let database = database.to_owned();
        return Err(MetadataError::ServerTooOld { database, found, least: LEAST_SERVER });
    }
    Ok(())
}

/// Whether the database has an older schema, which opening it would change.
///
/// # Errors
/// Those of opening it.
pub(crate) async fn would_migrate(options: &PostgresOptions) -> Result<bool, MetadataError> {
    Ok(connect_to_look(options).await?.2)
}

/// A connection to a database, what it is called, and whether its schema is an older one.
async fn connect_to_look(
    options: &PostgresOptions,
) -> Result<(String, Session, bool), MetadataError> {
    let servers = Servers::new(&options.url, Role::Primary, options)?;
    let name = servers.name();
    let opening = |fault: Fault| explain_opening(fault, &name);
    let mut session = servers.connect().await.map_err(opening)?;
    look_at_server(&mut session, &name).await?;
    // As one transaction, for a pooler.
    session.execute("BEGIN READ ONLY").await.map_err(opening)?;
    let is_older = migrations::is_older(&mut session, migrations::STEPS).await;
    session.execute("COMMIT").await.map_err(opening)?;
    let is_older = is_older.map_err(|error| error.explain(&name, opening))?;
    Ok((name, session, is_older))
}

/// A connection of its own to a database, for copying it or into it. It goes by another name than those of
/// replicas. A source of an older schema keeps that, since others may be at work with it; all else is brought
/// to the present one.
pub(crate) async fn transfer_session(
    options: &PostgresOptions,
    is_source: bool,
) -> Result<(String, Session), MetadataError> {
    let (name, mut session, is_older) = connect_to_look(options).await?;
    let opening = |fault: Fault| explain_opening(fault, &name);
    if !(is_source && is_older) {
        prepare(&mut session, &name).await?;
    }
    session
        .execute("SET application_name = 'berth metadata migrate'; SET idle_in_transaction_session_timeout = 0")
        .await
        .map_err(opening)?;
    Ok((name, session))
}

/// Reads from the primary: `primary!(self, subject::function(arguments…))`.
macro_rules! primary {
    ($store:ident, $module:ident :: $function:ident ($($argument:expr),*)) => {{
        let connections = &$store.engine.connections;
        let read = read!(connections, $module::$function($($argument),*));
        within($store.engine.timeout, read).await.map_err(explain)
    }};
}
pub(super) use primary;

/// Reads from a standby that has all that is committed by now, or from the primary.
macro_rules! anywhere {
    ($store:ident, $module:ident :: $function:ident ($($argument:expr),*)) => {{
        let primary = &$store.engine.connections;
        let standby = $store.standbys.caught_up(primary).await;
        let from_standby = match standby {
            Some(standby) => {
                let read = read!(standby, $module::$function($($argument),*));
                within($store.engine.timeout, read).await.ok()
            }
            None => None,
        };
        match from_standby {
            Some(answer) => Ok(answer),
            None => primary!($store, $module::$function($($argument),*)),
        }
    }};
}
pub(super) use anywhere;

#[async_trait]
impl MetadataStore for PostgresStore {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn repositories(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<RepositoryName>, MetadataError> {
        anywhere!(self, repositories::list(after, limit))
    }

    async fn repository_exists(&self, name: &RepositoryName) -> Result<bool, MetadataError> {
        primary!(self, repositories::exists(name))
    }

    async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<LinkedBlob>, MetadataError> {
        let engine = &self.engine;
        let ask = |keys: Vec<_>| async move {
            let read = read!(engine.connections, blobs::find_many(&keys));
            within(engine.timeout, read).await
        };
        self.blobs.find((repository.clone(), *digest), ask).await.map_err(explain)
    }

    async fn location_prefixes_without_blob(
        &self,
        prefixes: &[String],
    ) -> Result<Vec<String>, MetadataError> {
        primary!(self, blobs::location_prefixes_without_blob(prefixes))
    }

    async fn mount_blob(
        &self,
        target: &RepositoryName,
        source: MountSource<'_>,
        digest: &Digest,
        lease: Duration,
        events: &[NewEvent],
    ) -> Result<Option<BlobRecord>, MetadataError> {
        let source = match source {
            MountSource::Repository(name) => Some(name.clone()),
            MountSource::Any => None,
        };
        let (target, events) = (target.clone(), events.to_vec());
        self.write(blobs::Mount { target, source, digest: *digest, lease, events }).await
    }

    async fn unlink_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        grace: Duration,
        events: &[NewEvent],
    ) -> Result<bool, MetadataError> {
        let (repository, events) = (repository.clone(), events.to_vec());
        self.write(blobs::Unlink { repository, digest: *digest, grace, events }).await
    }

    async fn lease_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        lease: Duration,
    ) -> Result<bool, MetadataError> {
        let repository = repository.clone();
        self.write(links::LeaseBlob { repository, digest: *digest, lease }).await
    }

    async fn review_links(
        &self,
        limit: u32,
        grace: Duration,
    ) -> Result<ReviewedLinks, MetadataError> {
        self.write(links::Review { limit, grace }).await
    }

    async fn due_links(
        &self,
        after: Option<LinkCursor>,
        limit: u32,
    ) -> Result<Vec<DueLink>, MetadataError> {
        primary!(self, links::due_links(after, limit))
    }

    async fn take_garbage(
        &self,
        limit: u32,
        lease: Duration,
    ) -> Result<Vec<TakenGarbage>, MetadataError> {
        self.write(collection::Take { limit, lease }).await
    }

    async fn garbage_removed(&self, removed: &[GarbageId]) -> Result<(), MetadataError> {
        self.write(collection::Removed(removed.to_vec())).await
    }

    async fn garbage_failed(
        &self,
        failed: &[GarbageId],
        pause: Duration,
    ) -> Result<(), MetadataError> {
        self.write(collection::Failed { failed: failed.to_vec(), pause }).await
    }

    async fn removal(
        &self,
        digest: &Digest,
        location: &BlobLocation,
    ) -> Result<Option<Removal>, MetadataError> {
        primary!(self, collection::removal(digest, location))
    }

    async fn evict_manifests(
        &self,
        prefix: &str,
        idle: Duration,
        limit: u32,
    ) -> Result<u64, MetadataError> {
        self.write(eviction::Evict { prefix: prefix.to_owned(), idle, limit }).await
    }

    async fn is_removing(&self) -> Result<bool, MetadataError> {
        primary!(self, collection::is_removing())
    }

    async fn collection_backlog(&self) -> Result<CollectionBacklog, MetadataError> {
        primary!(self, collection::backlog())
    }

    async fn untagged_manifests(
        &self,
        search: UntaggedSearch,
    ) -> Result<UntaggedManifests, MetadataError> {
        self.write(untagged::Untagged { search, delete: None }).await
    }

    async fn delete_untagged(
        &self,
        search: UntaggedSearch,
        keep: Keep,
        events: &[NewEvent],
    ) -> Result<UntaggedManifests, MetadataError> {
        let delete = Some((keep, events.to_vec()));
        self.write(untagged::Untagged { search, delete }).await
    }

    async fn tag_uses(
        &self,
        repository: &RepositoryName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<TagUse>, MetadataError> {
        primary!(self, expiry::tag_uses(repository, after, limit))
    }

    async fn expire_tags(
        &self,
        repository: &RepositoryName,
        mut tags: Vec<TagUse>,
        undelete: Duration,
        events: &[NewEvent],
    ) -> Result<Vec<Tag>, MetadataError> {
        tags.sort_unstable_by(|one, other| one.tag.cmp(&other.tag));
        let (repository, events) = (repository.clone(), events.to_vec());
        self.write(expiry::ExpireTags { repository, tags, undelete, events }).await
    }

    async fn expire_untagged(
        &self,
        repository: &RepositoryName,
        look: UntaggedLook,
        events: &[NewEvent],
    ) -> Result<ExpiredManifests, MetadataError> {
        let (repository, events) = (repository.clone(), events.to_vec());
        self.write(expiry::ExpireUntagged { repository, look, events }).await
    }

    async fn record_pulls(
        &self,
        pulled: Vec<(RepositoryName, Digest)>,
    ) -> Result<(), MetadataError> {
        self.write(expiry::RecordPulls(pulled)).await
    }

    async fn create_upload(&self, upload: NewUpload) -> Result<(), MetadataError> {
        self.write(uploads::Create(upload)).await
    }

    async fn upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Option<Upload>, MetadataError> {
        primary!(self, uploads::find(repository, id))
    }

    async fn upload_exists(&self, id: UploadId) -> Result<bool, MetadataError> {
        primary!(self, uploads::exists(id))
    }

    async fn advance_upload(&self, progress: UploadProgress) -> Result<bool, MetadataError> {
        self.write(uploads::Advance(progress)).await
    }

    async fn finish_upload(
        &self,
        finished: FinishedUpload,
    ) -> Result<RecordedUpload, MetadataError> {
        match self.try_to_write(blobs::Finish(finished)).await {
            Err(Fault::PlaceUnsure) => Ok(RecordedUpload::Unsure),
            outcome => outcome.map_err(explain),
        }
    }

    async fn hold_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
        lease: Duration,
    ) -> Result<HeldUpload, MetadataError> {
        self.write(uploads::HoldUpload { repository: repository.clone(), id, lease }).await
    }

    async fn renew_upload(&self, id: UploadId, lease: Duration) -> Result<bool, MetadataError> {
        self.write(uploads::Renew { id, lease }).await
    }

    async fn release_upload(&self, id: UploadId) -> Result<(), MetadataError> {
        self.write(uploads::Release(id)).await
    }

    async fn delete_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<bool, MetadataError> {
        self.write(uploads::Delete { repository: repository.clone(), id }).await
    }

    async fn stale_uploads(
        &self,
        before: SystemTime,
        limit: u32,
    ) -> Result<Vec<Upload>, MetadataError> {
        primary!(self, uploads::stale(before, limit))
    }

    async fn take_stale_uploads(
        &self,
        before: SystemTime,
        limit: u32,
    ) -> Result<Vec<Upload>, MetadataError> {
        self.write(uploads::TakeStale { before, limit }).await
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Arc<ManifestRecord>>, MetadataError> {
        let engine = &self.engine;
        let ask = |keys: Vec<_>| async move {
            let keys = self.known.of(keys);
            let read = read!(engine.connections, manifests::find_many(&keys));
            let found = within(engine.timeout, read).await?;
            self.known.keep(&keys, &found);
            Ok(found)
        };
        let key = (repository.clone(), reference.clone());
        self.manifests.find(key, ask).await.map_err(explain)
    }

    async fn put_manifest(&self, manifest: NewManifest) -> Result<PutManifest, MetadataError> {
        match self.try_to_write(manifests::Put(manifest)).await {
            Err(Fault::TagStays(tag)) => Ok(PutManifest::Immutable(tag)),
            outcome => outcome.map_err(explain),
        }
    }

    async fn delete_unprotected_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        keep: Keep,
        events: &[NewEvent],
        protected: &ProtectedTags,
    ) -> Result<DeleteManifest, MetadataError> {
        let (repository, events, protected) =
            (repository.clone(), events.to_vec(), protected.clone());
        let delete = deletion::Delete { repository, digest: *digest, keep, events, protected };
        self.write(delete).await
    }

    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        undelete: Duration,
        events: &[NewEvent],
    ) -> Result<bool, MetadataError> {
        let (repository, events) = (repository.clone(), events.to_vec());
        self.write(tags::Delete { repository, tag: tag.clone(), undelete, events }).await
    }

    async fn delete_repository(
        &self,
        repository: &RepositoryName,
        undelete: Duration,
    ) -> Result<Option<DeletionId>, MetadataError> {
        let repository = repository.clone();
        self.write(deletion::DeleteRepository { repository, undelete }).await
    }

    async fn continue_deletion(
        &self,
        id: DeletionId,
        grace: Duration,
        limit: u32,
        events: &[NewEvent],
    ) -> Result<bool, MetadataError> {
        let events = events.to_vec();
        let next = deletion::Continue { id: id.0, grace, limit, events };
        self.write(next).await
    }

    async fn open_deletions(
        &self,
        after: Option<DeletionId>,
        limit: u32,
    ) -> Result<Vec<DeletionId>, MetadataError> {
        let after = after.map_or(0, |DeletionId(id)| id);
        primary!(self, deletion::open(after, limit))
    }

    async fn deletions(
        &self,
        repository: Option<&RepositoryName>,
        before: Option<DeletionId>,
        limit: u32,
    ) -> Result<Vec<Deletion>, MetadataError> {
        primary!(self, restore::list(repository, before, limit))
    }

    async fn find_deletion(
        &self,
        repository: &RepositoryName,
        reference: Option<&Reference>,
    ) -> Result<Option<Deletion>, MetadataError> {
        primary!(self, restore::find(repository, reference))
    }

    async fn deleted_manifests(
        &self,
        id: DeletionId,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<DeletedManifest>, MetadataError> {
        primary!(self, restore::content(id, after, limit))
    }

    async fn deleted_manifest(
        &self,
        id: DeletionId,
        digest: &Digest,
    ) -> Result<Option<ManifestRecord>, MetadataError> {
        primary!(self, restore::manifest(id, digest))
    }

    async fn restore(
        &self,
        id: DeletionId,
        digest: &Digest,
        after: Option<&Tag>,
        limit: u32,
        events: &[NewEvent],
    ) -> Result<Restore, MetadataError> {
        let (after, events) = (after.cloned(), events.to_vec());
        let restore = restore::BringBack { id: id.0, digest: *digest, after, limit, events };
        self.write(restore).await
    }

    async fn forget_deletions(&self, limit: u32) -> Result<u64, MetadataError> {
        self.write(restore::Forget { limit }).await
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Option<Page<Tag>>, MetadataError> {
        anywhere!(self, tags::list(repository, after, limit))
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&ReferrerCursor>,
        limit: u32,
    ) -> Result<Page<Referrer>, MetadataError> {
        anywhere!(self, referrers::list(repository, subject, artifact_type, after, limit))
    }

    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxEntry>, MetadataError> {
        primary!(self, outbox::list(limit))
    }

    async fn outbox_done(&self, done: &[OutboxId]) -> Result<(), MetadataError> {
        self.write(outbox::Done(done.iter().map(|id| id.0).collect())).await
    }

    async fn discard_files(&self, files: &[Digest]) -> Result<bool, MetadataError> {
        self.write(collection::DiscardFiles(files.to_vec())).await
    }

    fn outbox_refill(&self) {
        self.outbox_filled.notify_one();
    }

    async fn outbox_filled(&self) {
        tokio::select! {
            () = self.outbox_filled.notified() => return,
            () = async {
                loop {
                    tokio::time::sleep(OUTBOX_POLL).await;
                    if let Ok(false) = primary!(self, outbox::is_empty()) {
                        return;
                    }
                }
            } => {}
        }
    }

    async fn record_events(&self, events: Vec<NewEvent>) -> Result<(), MetadataError> {
        self.write(events::Record(events)).await
    }

    async fn events(
        &self,
        endpoint: &str,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>, MetadataError> {
        primary!(self, events::list(endpoint, limit))
    }

    async fn events_done(&self, done: &[EventId]) -> Result<(), MetadataError> {
        self.write(events::Done(done.to_vec())).await
    }

    async fn pending_events(&self) -> Result<Vec<EventCount>, MetadataError> {
        primary!(self, events::counts())
    }

    async fn expire_events(
        &self,
        before: SystemTime,
        limit: u32,
    ) -> Result<Vec<EventCount>, MetadataError> {
        self.write(events::Expire { before, limit }).await
    }

    async fn trim_events(&self, endpoint: &str, count: u32) -> Result<u64, MetadataError> {
        self.write(events::Trim { endpoint: endpoint.to_owned(), count }).await
    }

    async fn events_filled(&self) {
        tokio::select! {
            () = self.engine.events_filled.notified() => {}
            () = async {
                loop {
                    tokio::time::sleep(POLL).await;
                    if let Ok(false) = primary!(self, events::is_empty()) {
                        return;
                    }
                }
            } => {}
        }
    }

    async fn count_usage(&self, prefixes: &[RepositoryPrefix]) -> Result<(), MetadataError> {
        self.write(usage::Count(prefixes.to_vec())).await
    }

    async fn usage(
        &self,
        prefixes: &[RepositoryPrefix],
        blob: Option<&Digest>,
    ) -> Result<Vec<Usage>, MetadataError> {
        let (usage, is_long) = primary!(self, usage::usage(prefixes, blob))?;
        if is_long {
            self.write(usage::Fold).await?;
        }
        Ok(usage)
    }

    async fn knows_blob(&self, digest: &Digest) -> Result<bool, MetadataError> {
        primary!(self, mirrored::knows_blob(digest))
    }

    async fn mirrored_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<MirroredTag>, MetadataError> {
        primary!(self, mirrored::find(repository, tag))
    }

    async fn mirrored_tag_checked(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
    ) -> Result<(), MetadataError> {
        let (repository, tag) = (repository.clone(), tag.clone());
        self.write(mirrored::Checked { repository, tag, digest: *digest }).await
    }

    async fn hold_fetch(&self, key: &FetchKey, lease: Duration) -> Result<bool, MetadataError> {
        self.write(mirrored::Hold { key: key.clone(), lease }).await
    }

    async fn release_fetch(&self, key: &FetchKey) -> Result<(), MetadataError> {
        self.write(mirrored::Release(key.clone())).await
    }

    async fn take_job(
        &self,
        job: Job,
        lease: Duration,
        pause: Duration,
    ) -> Result<bool, MetadataError> {
        self.write(jobs::Take { job, lease, pause }).await
    }

    async fn leave_job(&self, job: Job, done: bool) -> Result<(), MetadataError> {
        self.write(jobs::Leave { job, done }).await
    }

    async fn now(&self) -> Result<SystemTime, MetadataError> {
        primary!(self, settings::server_time())
    }

    async fn bind_storage(&self, storage: &str) -> Result<(), MetadataError> {
        let recorded = self.write(settings::BindStorage(storage.to_owned())).await?;
        if recorded == storage {
            return Ok(());
        }
        Err(MetadataError::OtherStorage { recorded, configured: storage.to_owned() })
    }

    async fn rebind_storage(&self, storage: &str) -> Result<(), MetadataError> {
        self.write(settings::RebindStorage(storage.to_owned())).await
    }

    async fn ping(&self) -> Result<(), MetadataError> {
        let nothing: Result<bool, _> = primary!(self, outbox::is_empty());
        nothing.map(drop)
    }

    async fn close(&self) {
        self.engine.connections.close().await;
        self.standbys.close().await;
    }
}
