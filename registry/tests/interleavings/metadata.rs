//! A database that stops before each transaction.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_metadata::lifecycle::Removal;
use berth_metadata::{
    BlobLocation, BlobRecord, CollectionBacklog, DeleteManifest, DeletedManifest, Deletion,
    DeletionId, DueLink, EventCount, EventId, ExpiredManifests, FetchKey, FinishedUpload,
    GarbageId, HeldUpload, Job, Keep, LinkCursor, LinkedBlob, ManifestRecord, MetadataError,
    MetadataStore, MirroredTag, MountSource, NewEvent, NewManifest, NewUpload, OutboxEntry,
    OutboxId, Page, ProtectedTags, PutManifest, RecordedEvent, RecordedUpload, Referrer,
    ReferrerCursor, Restore, ReviewedLinks, TagUse, TakenGarbage, UntaggedLook, UntaggedManifests,
    UntaggedSearch, Upload, UploadProgress, Usage,
};
use berth_oci::{Digest, Reference, RepositoryName, RepositoryPrefix, Tag, UploadId};

use crate::schedule::Schedule;

/// A store whose transactions the schedule puts in order.
#[derive(Debug)]
pub(crate) struct GatedMetadata {
    pub(crate) inner: Arc<dyn MetadataStore>,
    pub(crate) schedule: Schedule,
}

/// Every transaction of the trait, handed on once the schedule says so.
macro_rules! gated {
    ($($name:ident($($argument:ident: $type:ty),*) -> $output:ty;)*) => {
        #[async_trait]
        impl MetadataStore for GatedMetadata {
            fn name(&self) -> String {
                self.inner.name()
            }

            fn outbox_refill(&self) {
                self.inner.outbox_refill();
            }

            async fn outbox_filled(&self) {
                self.inner.outbox_filled().await;
            }

            async fn events_filled(&self) {
                self.inner.events_filled().await;
            }

            async fn close(&self) {
                self.inner.close().await;
            }

            $(async fn $name(&self, $($argument: $type),*) -> $output {
                self.schedule.gate(stringify!($name)).await;
                self.inner.$name($($argument),*).await
            })*
        }
    };
}

gated! {
    repositories(after: Option<&str>, limit: u32) -> Result<Page<RepositoryName>, MetadataError>;
    repository_exists(name: &RepositoryName) -> Result<bool, MetadataError>;
    blob(repository: &RepositoryName, digest: &Digest) -> Result<Option<LinkedBlob>, MetadataError>;
    knows_blob(digest: &Digest) -> Result<bool, MetadataError>;
    lease_blob(repository: &RepositoryName, digest: &Digest, lease: Duration) -> Result<bool, MetadataError>;
    location_prefixes_without_blob(prefixes: &[String]) -> Result<Vec<String>, MetadataError>;
    mount_blob(target: &RepositoryName, source: MountSource<'_>, digest: &Digest, lease: Duration, events: &[NewEvent]) -> Result<Option<BlobRecord>, MetadataError>;
    unlink_blob(repository: &RepositoryName, digest: &Digest, grace: Duration, events: &[NewEvent]) -> Result<bool, MetadataError>;
    evict_manifests(prefix: &str, idle: Duration, limit: u32) -> Result<u64, MetadataError>;
    review_links(limit: u32, grace: Duration) -> Result<ReviewedLinks, MetadataError>;
    due_links(after: Option<LinkCursor>, limit: u32) -> Result<Vec<DueLink>, MetadataError>;
    take_garbage(limit: u32, lease: Duration) -> Result<Vec<TakenGarbage>, MetadataError>;
    garbage_removed(removed: &[GarbageId]) -> Result<(), MetadataError>;
    garbage_failed(failed: &[GarbageId], pause: Duration) -> Result<(), MetadataError>;
    removal(digest: &Digest, location: &BlobLocation) -> Result<Option<Removal>, MetadataError>;
    untagged_manifests(search: UntaggedSearch) -> Result<UntaggedManifests, MetadataError>;
    delete_untagged(search: UntaggedSearch, keep: Keep, events: &[NewEvent]) -> Result<UntaggedManifests, MetadataError>;
    tag_uses(repository: &RepositoryName, after: Option<&str>, limit: u32) -> Result<Page<TagUse>, MetadataError>;
    expire_tags(repository: &RepositoryName, tags: Vec<TagUse>, undelete: Duration, events: &[NewEvent]) -> Result<Vec<Tag>, MetadataError>;
    expire_untagged(repository: &RepositoryName, look: UntaggedLook, events: &[NewEvent]) -> Result<ExpiredManifests, MetadataError>;
    record_pulls(pulled: Vec<(RepositoryName, Digest)>) -> Result<(), MetadataError>;
    is_removing() -> Result<bool, MetadataError>;
    collection_backlog() -> Result<CollectionBacklog, MetadataError>;
    create_upload(upload: NewUpload) -> Result<(), MetadataError>;
    upload(repository: &RepositoryName, id: UploadId) -> Result<Option<Upload>, MetadataError>;
    upload_exists(id: UploadId) -> Result<bool, MetadataError>;
    advance_upload(progress: UploadProgress) -> Result<bool, MetadataError>;
    finish_upload(finished: FinishedUpload) -> Result<RecordedUpload, MetadataError>;
    hold_upload(repository: &RepositoryName, id: UploadId, lease: Duration) -> Result<HeldUpload, MetadataError>;
    renew_upload(id: UploadId, lease: Duration) -> Result<bool, MetadataError>;
    release_upload(id: UploadId) -> Result<(), MetadataError>;
    delete_upload(repository: &RepositoryName, id: UploadId) -> Result<bool, MetadataError>;
    stale_uploads(before: SystemTime, limit: u32) -> Result<Vec<Upload>, MetadataError>;
    take_stale_uploads(before: SystemTime, limit: u32) -> Result<Vec<Upload>, MetadataError>;
    manifest(repository: &RepositoryName, reference: &Reference) -> Result<Option<Arc<ManifestRecord>>, MetadataError>;
    put_manifest(manifest: NewManifest) -> Result<PutManifest, MetadataError>;
    mirrored_tag(repository: &RepositoryName, tag: &Tag) -> Result<Option<MirroredTag>, MetadataError>;
    mirrored_tag_checked(repository: &RepositoryName, tag: &Tag, digest: &Digest) -> Result<(), MetadataError>;
    hold_fetch(key: &FetchKey, lease: Duration) -> Result<bool, MetadataError>;
    release_fetch(key: &FetchKey) -> Result<(), MetadataError>;
    delete_unprotected_manifest(repository: &RepositoryName, digest: &Digest, keep: Keep, events: &[NewEvent], protected: &ProtectedTags) -> Result<DeleteManifest, MetadataError>;
    delete_tag(repository: &RepositoryName, tag: &Tag, undelete: Duration, events: &[NewEvent]) -> Result<bool, MetadataError>;
    delete_repository(repository: &RepositoryName, undelete: Duration) -> Result<Option<DeletionId>, MetadataError>;
    continue_deletion(id: DeletionId, grace: Duration, limit: u32, events: &[NewEvent]) -> Result<bool, MetadataError>;
    open_deletions(after: Option<DeletionId>, limit: u32) -> Result<Vec<DeletionId>, MetadataError>;
    deletions(repository: Option<&RepositoryName>, before: Option<DeletionId>, limit: u32) -> Result<Vec<Deletion>, MetadataError>;
    find_deletion(repository: &RepositoryName, reference: Option<&Reference>) -> Result<Option<Deletion>, MetadataError>;
    deleted_manifests(id: DeletionId, after: Option<&Digest>, limit: u32) -> Result<Vec<DeletedManifest>, MetadataError>;
    deleted_manifest(id: DeletionId, digest: &Digest) -> Result<Option<ManifestRecord>, MetadataError>;
    restore(id: DeletionId, digest: &Digest, after: Option<&Tag>, limit: u32, events: &[NewEvent]) -> Result<Restore, MetadataError>;
    forget_deletions(limit: u32) -> Result<u64, MetadataError>;
    tags(repository: &RepositoryName, after: Option<&str>, limit: u32) -> Result<Option<Page<Tag>>, MetadataError>;
    referrers(repository: &RepositoryName, subject: &Digest, artifact_type: Option<&str>, after: Option<&ReferrerCursor>, limit: u32) -> Result<Page<Referrer>, MetadataError>;
    outbox(limit: u32) -> Result<Vec<OutboxEntry>, MetadataError>;
    outbox_done(done: &[OutboxId]) -> Result<(), MetadataError>;
    discard_files(files: &[Digest]) -> Result<bool, MetadataError>;
    record_events(events: Vec<NewEvent>) -> Result<(), MetadataError>;
    events(endpoint: &str, limit: u32) -> Result<Vec<RecordedEvent>, MetadataError>;
    events_done(done: &[EventId]) -> Result<(), MetadataError>;
    pending_events() -> Result<Vec<EventCount>, MetadataError>;
    expire_events(before: SystemTime, limit: u32) -> Result<Vec<EventCount>, MetadataError>;
    trim_events(endpoint: &str, count: u32) -> Result<u64, MetadataError>;
    count_usage(prefixes: &[RepositoryPrefix]) -> Result<(), MetadataError>;
    usage(prefixes: &[RepositoryPrefix], blob: Option<&Digest>) -> Result<Vec<Usage>, MetadataError>;
    take_job(job: Job, lease: Duration, pause: Duration) -> Result<bool, MetadataError>;
    leave_job(job: Job, done: bool) -> Result<(), MetadataError>;
    now() -> Result<SystemTime, MetadataError>;
    bind_storage(storage: &str) -> Result<(), MetadataError>;
    rebind_storage(storage: &str) -> Result<(), MetadataError>;
    ping() -> Result<(), MetadataError>;
}
