use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{Digest, Reference, RepositoryName, RepositoryPrefix, Tag, UploadId};
use tokio::sync::Notify;

use super::cache::Cache;
use super::connect::connect;
use super::connections::{Connections, Lease};
use super::lookups::Lookups;
use super::open::{self, ProcessLock, SqliteLocation, SqliteOptions};
use super::writer::{Operation, Writer, WriterState};
use super::{
    blobs, collection, deletion, events, eviction, expiry, links, manifests, mirrored, outbox,
    referrers, repositories, restore, settings, tags, untagged, uploads, usage,
};
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

/// The embedded [`MetadataStore`], in one SQLite file or in memory.
///
/// One process at a time has the file, and the file is all there is to back up (with its `-wal`,
/// while the process runs). Closing it with [`MetadataStore::close`] is good manners; nothing that
/// was acknowledged is lost without.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    readers: Arc<Connections>,
    writer: Writer,
    cache: Arc<Cache>,
    lookups: Lookups,
    outbox_filled: Arc<Notify>,
    events_filled: Arc<Notify>,
}

impl SqliteStore {
    /// Opens the database, or makes it, and brings it to the present schema. Takes no longer for
    /// a large database than for a small one. Must be called inside of a Tokio runtime.
    ///
    /// # Errors
    /// [`MetadataError::InUse`], [`MetadataError::Damaged`], [`MetadataError::TooNew`],
    /// [`MetadataError::NoSpace`], [`MetadataError::ReadOnly`] and [`MetadataError::Open`], as
    /// they say.
    pub async fn open(options: SqliteOptions) -> Result<Self, MetadataError> {
        match &options.location {
            SqliteLocation::File(path) => Self::open_file(path.clone(), &options).await,
            SqliteLocation::Memory => Self::open_memory(&options).await,
        }
    }

    async fn open_file(path: PathBuf, options: &SqliteOptions) -> Result<Self, MetadataError> {
        let lock = ProcessLock::take(&path)?;
        open::sync_log(&path)?;
        let writer_options = open::writer_options(&path);
        let reader_options = open::reader_options(&path);
        let mut writer = open::connect(&writer_options, &path).await?;
        open::refuse_closed(&mut writer, &path).await?;
        collection::forget_holders(&mut writer).await.map_err(|f| f.explain_opening(&path))?;
        let reader = connect(&reader_options).await;
        let reader = reader.map_err(|error| Fault::from(error).explain_opening(&path))?;
        let writer = Arc::new(Connections::new(writer, writer_options, 1));
        let readers = Arc::new(Connections::new(reader, reader_options, options.readers));
        Self::start(path, writer, readers, Some(lock), options).await
    }

    /// One connection for reads and writes: a second one would be a second database, or share its
    /// cache and fail on table locks.
    async fn open_memory(options: &SqliteOptions) -> Result<Self, MetadataError> {
        let path = PathBuf::from(":memory:");
        let connect_options = open::memory_options();
        let connection = open::connect(&connect_options, &path).await?;
        let shared = Arc::new(Connections::new(connection, connect_options, 1));
        Self::start(path, Arc::clone(&shared), shared, None, options).await
    }

    async fn start(
        path: PathBuf,
        writer: Arc<Connections>,
        readers: Arc<Connections>,
        lock: Option<ProcessLock>,
        options: &SqliteOptions,
    ) -> Result<Self, MetadataError> {
        let cache = Arc::new(Cache::new(options.cache_bytes));
        let outbox_filled = Arc::new(Notify::new());
        let events_filled = Arc::new(Notify::new());
        let writer = Writer::start(WriterState {
            connections: writer,
            readers: Arc::clone(&readers),
            cache: Arc::clone(&cache),
            outbox_filled: Arc::clone(&outbox_filled),
            events_filled: Arc::clone(&events_filled),
            follower: options.follower,
            path: path.clone(),
            lock,
        })
        .map_err(|error| MetadataError::Open { path: path.clone(), reason: error.to_string() })?;
        let lookups = Lookups::default();
        let store = Self { path, readers, writer, cache, lookups, outbox_filled, events_filled };
        store.look_for_what_is_left().await.map_err(|fault| fault.explain_opening(&store.path))?;
        Ok(store)
    }

    async fn look_for_what_is_left(&self) -> Result<(), Fault> {
        let mut connection = self.reader().await?;
        if !outbox::is_empty(&mut connection).await? {
            self.outbox_filled.notify_one();
        }
        if !events::is_empty(&mut connection).await? {
            self.events_filled.notify_one();
        }
        Ok(())
    }

    pub(super) async fn reader(&self) -> Result<Lease<'_>, Fault> {
        self.readers.acquire().await
    }

    pub(super) async fn write<O: Operation>(
        &self,
        operation: O,
    ) -> Result<O::Output, MetadataError> {
        self.writer.submit(operation).await
    }

    pub(super) fn explain(&self, fault: Fault) -> MetadataError {
        fault.explain(&self.path)
    }
}

/// Reads with a connection: `read!(self, subject::function(arguments…))`.
macro_rules! read {
    ($store:ident, $module:ident :: $function:ident ($($argument:expr),*)) => {
        async {
            let mut connection = $store.reader().await?;
            $module::$function(&mut connection, $($argument),*).await
        }
        .await
        .map_err(|fault| $store.explain(fault))
    };
}
pub(super) use read;

#[async_trait]
impl MetadataStore for SqliteStore {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    async fn repositories(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<RepositoryName>, MetadataError> {
        read!(self, repositories::list(after, limit))
    }

    async fn repository_exists(&self, name: &RepositoryName) -> Result<bool, MetadataError> {
        read!(self, repositories::exists(name))
    }

    async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<LinkedBlob>, MetadataError> {
        if self.readers.is_closed() {
            return Err(MetadataError::Closed);
        }
        let epoch = match self.cache.blob(repository, digest) {
            Ok(found) => return Ok(Some(found.into())),
            Err(epoch) => epoch,
        };
        let found = read!(self, blobs::find(repository, digest))?;
        if let Some(found) = &found {
            self.cache.keep_blob(repository, digest, epoch, found);
        }
        Ok(found.map(LinkedBlob::from))
    }

    async fn location_prefixes_without_blob(
        &self,
        prefixes: &[String],
    ) -> Result<Vec<String>, MetadataError> {
        read!(self, blobs::location_prefixes_without_blob(prefixes))
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
        Ok(self.write(links::Review { limit, grace }).await?.links)
    }

    async fn due_links(
        &self,
        after: Option<LinkCursor>,
        limit: u32,
    ) -> Result<Vec<DueLink>, MetadataError> {
        read!(self, links::due_links(after, limit))
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
        read!(self, collection::removal(digest, location))
    }

    async fn evict_manifests(
        &self,
        prefix: &str,
        idle: Duration,
        limit: u32,
    ) -> Result<u64, MetadataError> {
        let evict = eviction::Evict { prefix: prefix.to_owned(), idle, limit };
        Ok(self.write(evict).await?.count)
    }

    async fn is_removing(&self) -> Result<bool, MetadataError> {
        read!(self, collection::is_removing())
    }

    async fn collection_backlog(&self) -> Result<CollectionBacklog, MetadataError> {
        read!(self, collection::backlog())
    }

    async fn untagged_manifests(
        &self,
        search: UntaggedSearch,
    ) -> Result<UntaggedManifests, MetadataError> {
        Ok(self.write(untagged::Untagged { search, delete: None }).await?.page)
    }

    async fn delete_untagged(
        &self,
        search: UntaggedSearch,
        keep: Keep,
        events: &[NewEvent],
    ) -> Result<UntaggedManifests, MetadataError> {
        let delete = Some((keep, events.to_vec()));
        Ok(self.write(untagged::Untagged { search, delete }).await?.page)
    }

    async fn tag_uses(
        &self,
        repository: &RepositoryName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<TagUse>, MetadataError> {
        read!(self, expiry::tag_uses(repository, after, limit))
    }

    async fn expire_tags(
        &self,
        repository: &RepositoryName,
        tags: Vec<TagUse>,
        undelete: Duration,
        events: &[NewEvent],
    ) -> Result<Vec<Tag>, MetadataError> {
        let (repository, events) = (repository.clone(), events.to_vec());
        self.write(expiry::ExpireTags { repository, tags, undelete, events }).await
    }

    async fn expire_untagged(
        &self,
        repository: &RepositoryName,
        look: UntaggedLook,
        events: &[NewEvent],
    ) -> Result<ExpiredManifests, MetadataError> {
        // Most pages hold none, and the one that writes is not troubled for these.
        let page = read!(self, expiry::untagged(repository, &look))?;
        if look.dry_run || page.manifests.is_empty() {
            return Ok(page);
        }
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
        read!(self, uploads::find(repository, id))
    }

    async fn upload_exists(&self, id: UploadId) -> Result<bool, MetadataError> {
        read!(self, uploads::exists(id))
    }

    async fn advance_upload(&self, progress: UploadProgress) -> Result<bool, MetadataError> {
        self.write(uploads::Advance(progress)).await
    }

    async fn finish_upload(
        &self,
        finished: FinishedUpload,
    ) -> Result<RecordedUpload, MetadataError> {
        Ok(self.write(blobs::Finish(finished)).await?.recorded)
    }

    /// This process has the file to itself.
    async fn hold_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
        _lease: Duration,
    ) -> Result<HeldUpload, MetadataError> {
        let upload = self.upload(repository, id).await?;
        Ok(upload.map_or(HeldUpload::Unknown, HeldUpload::Held))
    }

    async fn renew_upload(&self, _: UploadId, _: Duration) -> Result<bool, MetadataError> {
        Ok(true)
    }

    async fn release_upload(&self, _: UploadId) -> Result<(), MetadataError> {
        Ok(())
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
        read!(self, uploads::stale(before, limit))
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
        if self.readers.is_closed() {
            return Err(MetadataError::Closed);
        }
        let epoch = match self.cache.manifest(repository, reference) {
            Ok(record) => return Ok(Some(record)),
            Err(epoch) => epoch,
        };
        let record = self.lookups.find(&self.readers, repository, reference).await;
        let record = record.map_err(|fault| self.explain(fault))?;
        if let Some(record) = &record {
            self.cache.keep_manifest(repository, reference, epoch, record);
        }
        Ok(record)
    }

    async fn put_manifest(&self, manifest: NewManifest) -> Result<PutManifest, MetadataError> {
        Ok(self.write(manifests::Put(manifest)).await?.into())
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
        Ok(self.write(delete).await?.answer)
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
        Ok(self.write(next).await?.answer)
    }

    async fn open_deletions(
        &self,
        after: Option<DeletionId>,
        limit: u32,
    ) -> Result<Vec<DeletionId>, MetadataError> {
        let after = after.map_or(0, |DeletionId(id)| id);
        read!(self, deletion::open(after, limit))
    }

    async fn deletions(
        &self,
        repository: Option<&RepositoryName>,
        before: Option<DeletionId>,
        limit: u32,
    ) -> Result<Vec<Deletion>, MetadataError> {
        read!(self, restore::list(repository, before, limit))
    }

    async fn find_deletion(
        &self,
        repository: &RepositoryName,
        reference: Option<&Reference>,
    ) -> Result<Option<Deletion>, MetadataError> {
        read!(self, restore::find(repository, reference))
    }

    async fn deleted_manifests(
        &self,
        id: DeletionId,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<DeletedManifest>, MetadataError> {
        read!(self, restore::content(id, after, limit))
    }

    async fn deleted_manifest(
        &self,
        id: DeletionId,
        digest: &Digest,
    ) -> Result<Option<ManifestRecord>, MetadataError> {
        read!(self, restore::manifest(id, digest))
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
        Ok(self.write(restore).await?.answer)
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
        read!(self, tags::list(repository, after, limit))
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&ReferrerCursor>,
        limit: u32,
    ) -> Result<Page<Referrer>, MetadataError> {
        read!(self, referrers::list(repository, subject, artifact_type, after, limit))
    }

    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxEntry>, MetadataError> {
        read!(self, outbox::list(limit))
    }

    async fn outbox_done(&self, done: &[OutboxId]) -> Result<(), MetadataError> {
        match done.iter().max() {
            Some(last) => self.write(outbox::Done(*last)).await,
            None => Ok(()),
        }
    }

    async fn discard_files(&self, files: &[Digest]) -> Result<bool, MetadataError> {
        self.write(collection::DiscardFiles(files.to_vec())).await
    }

    fn outbox_refill(&self) {
        self.outbox_filled.notify_one();
    }

    async fn outbox_filled(&self) {
        self.outbox_filled.notified().await;
    }

    async fn record_events(&self, events: Vec<NewEvent>) -> Result<(), MetadataError> {
        self.write(events::Record(events)).await
    }

    async fn events(
        &self,
        endpoint: &str,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>, MetadataError> {
        read!(self, events::list(endpoint, limit))
    }

    async fn events_done(&self, done: &[EventId]) -> Result<(), MetadataError> {
        self.write(events::Done(done.to_vec())).await
    }

    async fn pending_events(&self) -> Result<Vec<EventCount>, MetadataError> {
        read!(self, events::counts())
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
        self.events_filled.notified().await;
    }

    /// This process has the file to itself.
    async fn count_usage(&self, prefixes: &[RepositoryPrefix]) -> Result<(), MetadataError> {
        self.write(usage::Count(prefixes.to_vec())).await
    }

    async fn usage(
        &self,
        prefixes: &[RepositoryPrefix],
        blob: Option<&Digest>,
    ) -> Result<Vec<Usage>, MetadataError> {
        read!(self, usage::usage(prefixes, blob))
    }

    async fn knows_blob(&self, digest: &Digest) -> Result<bool, MetadataError> {
        read!(self, mirrored::knows_blob(digest))
    }

    async fn mirrored_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<MirroredTag>, MetadataError> {
        read!(self, mirrored::find(repository, tag))
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

    /// This process has the file to itself.
    async fn hold_fetch(&self, _: &FetchKey, _: Duration) -> Result<bool, MetadataError> {
        Ok(true)
    }

    async fn release_fetch(&self, _: &FetchKey) -> Result<(), MetadataError> {
        Ok(())
    }

    async fn take_job(&self, _: Job, _: Duration, _: Duration) -> Result<bool, MetadataError> {
        Ok(true)
    }

    async fn leave_job(&self, _: Job, _: bool) -> Result<(), MetadataError> {
        Ok(())
    }

    async fn now(&self) -> Result<SystemTime, MetadataError> {
        Ok(SystemTime::now())
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
        let nothing: Result<bool, _> = read!(self, outbox::is_empty());
        nothing.map(drop)
    }

    async fn close(&self) {
        self.writer.close().await;
    }
}
