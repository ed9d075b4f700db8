use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{Digest, Reference, RepositoryName, RepositoryPrefix, Tag, UploadId};

use crate::lifecycle::Removal;
use crate::{
    BlobLocation, BlobRecord, CollectionBacklog, DeleteManifest, DeletedManifest, Deletion,
    DeletionId, DueLink, EventCount, EventId, ExpiredManifests, FetchKey, FinishedUpload,
    GarbageId, HeldUpload, Job, Keep, LinkCursor, LinkedBlob, ManifestRecord, MetadataError,
    MirroredTag, MountSource, NewEvent, NewManifest, NewUpload, OutboxEntry, OutboxId, Page,
    ProtectedTags, PutManifest, RecordedEvent, RecordedUpload, Referrer, ReferrerCursor, Restore,
    ReviewedLinks, TagUse, TakenGarbage, UntaggedLook, UntaggedManifests, UntaggedSearch, Upload,
    UploadProgress, Usage,
};

/// The truth about names and the graph.
///
/// Every method is one transaction. When a method that changes something returns `Ok`, the change
/// is committed; it is on stable storage too unless the method says *relaxed*: a relaxed change
/// survives the death of the process, but a power cut may undo it, and only changes that nobody
/// was promised are relaxed. Reads see every change that was acknowledged before they began.
///
/// Listings are ordered by the bytes of the name, on every implementation.
#[async_trait]
pub trait MetadataStore: fmt::Debug + Send + Sync + 'static {
    /// What messages call the database: where it is, and nothing secret.
    fn name(&self) -> String;

    /// The repositories after `after`, at most `limit`. A repository exists while it has a manifest or
    /// a link; one that was deleted whole, from its next manifest on, since its links stay while it can
    /// be had back.
    async fn repositories(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<RepositoryName>, MetadataError>;

    /// Whether the repository exists.
    async fn repository_exists(&self, name: &RepositoryName) -> Result<bool, MetadataError>;

    /// The blob, if the repository links it.
    async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<LinkedBlob>, MetadataError>;

    /// Whether any repository links the blob. Not for the ears of those who may not read it.
    async fn knows_blob(&self, digest: &Digest) -> Result<bool, MetadataError>;

    /// Promises that the repository's link to the blob stays for so long; false when there is none.
    async fn lease_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        lease: Duration,
    ) -> Result<bool, MetadataError>;

    /// Those of some beginnings of locations that no blob's location has. A listing of the blob
    /// store tells no more of a location than what it begins with.
    async fn location_prefixes_without_blob(
        &self,
        prefixes: &[String],
    ) -> Result<Vec<String>, MetadataError>;

    /// Links a blob that another repository has; `None` when the source does not link it.
    /// The link carries a lease of `lease`. The events are recorded with it, the size of the blob
    /// filled in.
    async fn mount_blob(
        &self,
        target: &RepositoryName,
        source: MountSource<'_>,
        digest: &Digest,
        lease: Duration,
        events: &[NewEvent],
    ) -> Result<Option<BlobRecord>, MetadataError>;

    /// Takes the link away and records the events; false when there was no link. When it was the
    /// last one the blob is garbage, to be removed after `grace`.
    async fn unlink_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        grace: Duration,
        events: &[NewEvent],
    ) -> Result<bool, MetadataError>;

    /// Looks at the links whose time of review has come, at most `limit`, the most overdue first,
    /// and does what [`lifecycle::review`](crate::lifecycle::review) says. Blobs that have lost
    /// their last link are garbage, to be removed after `grace`.
    async fn review_links(
        &self,
        limit: u32,
        grace: Duration,
    ) -> Result<ReviewedLinks, MetadataError>;

    /// What [`review_links`](Self::review_links) would look at, behind `after`, and changes nothing.
    async fn due_links(
        &self,
        after: Option<LinkCursor>,
        limit: u32,
    ) -> Result<Vec<DueLink>, MetadataError>;

    /// Garbage whose time has come, at most `limit`, for this caller alone to remove until `lease`
    /// runs out. To be followed by [`garbage_removed`](Self::garbage_removed) or
    /// [`garbage_failed`](Self::garbage_failed); after the death of the caller somebody else gets it.
    async fn take_garbage(
        &self,
        limit: u32,
        lease: Duration,
    ) -> Result<Vec<TakenGarbage>, MetadataError>;

    /// Records that bytes were removed. Where another upload may lie at the same place that is
    /// remembered for a while.
    async fn garbage_removed(&self, removed: &[GarbageId]) -> Result<(), MetadataError>;

    /// Records that bytes could not be removed. They are tried again after `pause`.
    async fn garbage_failed(
        &self,
        failed: &[GarbageId],
        pause: Duration,
    ) -> Result<(), MetadataError>;

    /// How far the removal of bytes at a place is; `None` where there is no garbage.
    async fn removal(
        &self,
        digest: &Digest,
        location: &BlobLocation,
    ) -> Result<Option<Removal>, MetadataError>;

    /// Manifests that no tag points to, no index of their repository names, and whose subject, if they
    /// have one, is not there. A tag that only attaches a manifest to a subject which is not there
    /// counts for nothing ([`attached_tags`](berth_oci::attached_tags)). The page tells those among
    /// the manifests that were looked at.
    async fn untagged_manifests(
        &self,
        search: UntaggedSearch,
    ) -> Result<UntaggedManifests, MetadataError>;

    /// Deletes such manifests as [`delete_manifest`](Self::delete_manifest) does, each in a deletion
    /// of its own. Those that are left to follow are [open](Self::open_deletions). The events are
    /// those of any manifest.
    async fn delete_untagged(
        &self,
        search: UntaggedSearch,
        keep: Keep,
        events: &[NewEvent],
    ) -> Result<UntaggedManifests, MetadataError>;

    /// The tags after `after`, at most `limit`, with the times that a retention policy judges them
    /// by; none when the repository does not exist.
    async fn tag_uses(
        &self,
        repository: &RepositoryName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<TagUse>, MetadataError>;

    /// Deletes tags as [`delete_tag`](Self::delete_tag) does, but for those that were pushed or
    /// pulled since they were seen so, and gives those that it deleted. Events like these are recorded
    /// for each.
    async fn expire_tags(
        &self,
        repository: &RepositoryName,
        tags: Vec<TagUse>,
        undelete: Duration,
        events: &[NewEvent],
    ) -> Result<Vec<Tag>, MetadataError>;

    /// Deletes manifests of the repository that no tag has pointed to for `age`, nor were they pushed
    /// in that time, that no index of the repository names, and whose subject, if they have one, is not
    /// there. Looks at so many manifests behind `after` and gives those that it deleted; with
    /// `dry_run` it deletes nothing. They go as by [`delete_manifest`](Self::delete_manifest), each in
    /// a deletion of its own, with events like these.
    async fn expire_untagged(
        &self,
        repository: &RepositoryName,
        look: UntaggedLook,
        events: &[NewEvent],
    ) -> Result<ExpiredManifests, MetadataError>;

    /// Notes that manifests are being read, for those that are there. Relaxed.
    async fn record_pulls(
        &self,
        pulled: Vec<(RepositoryName, Digest)>,
    ) -> Result<(), MetadataError>;

    /// Deletes up to `limit` manifests that the mirror of this prefix has fetched and that nobody has pulled
    /// for `idle`, those first that were pulled least lately, with their tags, for good and without events:
    /// they can be fetched again. Answers how many. What was pushed is never among them. The links to their
    /// blobs are due for review at once.
    async fn evict_manifests(
        &self,
        prefix: &str,
        idle: Duration,
        limit: u32,
    ) -> Result<u64, MetadataError>;

    /// Whether the removal of any bytes is running.
    async fn is_removing(&self) -> Result<bool, MetadataError>;

    /// Since when the most overdue link waits for its review, and the most overdue garbage for its
    /// removal.
    async fn collection_backlog(&self) -> Result<CollectionBacklog, MetadataError>;

    /// Opens an upload session at offset 0. Relaxed.
    async fn create_upload(&self, upload: NewUpload) -> Result<(), MetadataError>;

    /// The session, if it is open in this repository.
    async fn upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Option<Upload>, MetadataError>;

    /// Whether a session with this identifier is open in any repository.
    async fn upload_exists(&self, id: UploadId) -> Result<bool, MetadataError>;

    /// Moves the session on; false, and nothing changed, when it is gone or stands elsewhere than
    /// at `from_offset`. Relaxed: the bytes are durable before this is called.
    async fn advance_upload(&self, progress: UploadProgress) -> Result<bool, MetadataError>;

    /// Records the blob, links it into the repository and ends the session.
    async fn finish_upload(
        &self,
        finished: FinishedUpload,
    ) -> Result<RecordedUpload, MetadataError>;

    /// Takes hold of the session for one writer: no other process can while the hold lasts. It ends
    /// with [`release_upload`](Self::release_upload), with the session, or when `lease` runs out:
    /// [`renew_upload`](Self::renew_upload) renews it. Between the writers of one process nothing
    /// is decided here.
    async fn hold_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
        lease: Duration,
    ) -> Result<HeldUpload, MetadataError>;

    /// Renews the hold that this process has; false when it has lost it.
    async fn renew_upload(&self, id: UploadId, lease: Duration) -> Result<bool, MetadataError>;

    /// Lets go of the session, if this process has it. Relaxed.
    async fn release_upload(&self, id: UploadId) -> Result<(), MetadataError>;

    /// Ends the session without a blob; false when it is not open in this repository. Relaxed.
    async fn delete_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<bool, MetadataError>;

    /// Sessions that have not moved since `before` and that nobody holds, the stalest first, at
    /// most `limit`.
    async fn stale_uploads(
        &self,
        before: SystemTime,
        limit: u32,
    ) -> Result<Vec<Upload>, MetadataError>;

    /// Ends such sessions and gives them, each to one caller alone, however many ask at the same
    /// time.
    async fn take_stale_uploads(
        &self,
        before: SystemTime,
        limit: u32,
    ) -> Result<Vec<Upload>, MetadataError>;

    /// The manifest that the reference names in the repository.
    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Arc<ManifestRecord>>, MetadataError>;

    /// Stores a manifest with its references and points its tags to it, all or nothing.
    async fn put_manifest(&self, manifest: NewManifest) -> Result<PutManifest, MetadataError>;

    /// What is known of a tag that came from an upstream; nothing of others.
    async fn mirrored_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<MirroredTag>, MetadataError>;

    /// Notes that a tag was looked at just now and points to `digest` at its upstream still. Relaxed.
    async fn mirrored_tag_checked(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
    ) -> Result<(), MetadataError>;

    /// Takes hold of something to fetch from an upstream, or renews the hold; false while another
    /// process has it. The hold ends with [`release_fetch`](Self::release_fetch), or when `lease` runs
    /// out. Between the tasks of one process nothing is decided here.
    async fn hold_fetch(&self, key: &FetchKey, lease: Duration) -> Result<bool, MetadataError>;

    /// Lets go of it, if this process has it. Relaxed.
    async fn release_fetch(&self, key: &FetchKey) -> Result<(), MetadataError>;

    /// Deletes the manifest and every tag that points to it, and records the events, followed by one
    /// like them for each tag. What is attached to it goes in the same deletion, by
    /// [`continue_deletion`](Self::continue_deletion). The links to the blobs that it needed stay for
    /// `keep.grace` at least, and so does its file in a storage tree, which is garbage when no
    /// repository has the manifest any longer; for `keep.undelete` all of it can be had back.
    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        keep: Keep,
        events: &[NewEvent],
    ) -> Result<DeleteManifest, MetadataError> {
        let protected = ProtectedTags::default();
        self.delete_unprotected_manifest(repository, digest, keep, events, &protected).await
    }

    /// Does what [`delete_manifest`](Self::delete_manifest) does, unless a tag points to the manifest
    /// that is protected.
    async fn delete_unprotected_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        keep: Keep,
        events: &[NewEvent],
        protected: &ProtectedTags,
    ) -> Result<DeleteManifest, MetadataError>;

    /// Deletes the tag alone and records the events; false when the tag is not there. It can be had
    /// back for `undelete`.
    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        undelete: Duration,
        events: &[NewEvent],
    ) -> Result<bool, MetadataError>;

    /// Begins to delete a whole repository: all that was pushed to it until now goes by
    /// [`continue_deletion`](Self::continue_deletion), and what is pushed from now on stays. `None`
    /// when it does not exist. While one is going on it goes on up to now.
    async fn delete_repository(
        &self,
        repository: &RepositoryName,
        undelete: Duration,
    ) -> Result<Option<DeletionId>, MetadataError>;

    /// Takes a batch of what a deletion has still to take, `limit` of a kind at most: of a whole
    /// repository its tags and manifests; of a manifest what is attached to it, which are its referrers,
    /// theirs, and what [tags](berth_oci::attached_tags) attach. What another tag points to or an index
    /// names stays. False when the deletion is done. The events are those of any manifest; those of
    /// tags are like them.
    async fn continue_deletion(
        &self,
        id: DeletionId,
        grace: Duration,
        limit: u32,
        events: &[NewEvent],
    ) -> Result<bool, MetadataError>;

    /// Deletions with more to do, behind `after`, at most `limit`.
    async fn open_deletions(
        &self,
        after: Option<DeletionId>,
        limit: u32,
    ) -> Result<Vec<DeletionId>, MetadataError>;

    /// What can be had back, the newest deletion first, those before `before`. More than a thousand
    /// manifests or tags of one are not counted.
    async fn deletions(
        &self,
        repository: Option<&RepositoryName>,
        before: Option<DeletionId>,
        limit: u32,
    ) -> Result<Vec<Deletion>, MetadataError>;

    /// The newest deletion that the manifest or the tag can be had back from; without a reference the
    /// newest of the whole repository.
    async fn find_deletion(
        &self,
        repository: &RepositoryName,
        reference: Option<&Reference>,
    ) -> Result<Option<Deletion>, MetadataError>;

    /// The manifests of a deletion behind `after`, and those that tags of it pointed to, by digest.
    async fn deleted_manifests(
        &self,
        id: DeletionId,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Vec<DeletedManifest>, MetadataError>;

    /// A manifest of a deletion.
    async fn deleted_manifest(
        &self,
        id: DeletionId,
        digest: &Digest,
    ) -> Result<Option<ManifestRecord>, MetadataError>;

    /// Brings back a manifest of a deletion, unless it is there, and up to `limit` of its tags behind
    /// `after`, in the order of their names; the tags are set as by a push of now. The events are those
    /// of the manifest without a tag; they are recorded once for each tag, or just so.
    async fn restore(
        &self,
        id: DeletionId,
        digest: &Digest,
        after: Option<&Tag>,
        limit: u32,
        events: &[NewEvent],
    ) -> Result<Restore, MetadataError>;

    /// Forgets deletions that can be had back no longer, `limit` rows at most. Answers how many; fewer
    /// than `limit` when that was all.
    async fn forget_deletions(&self, limit: u32) -> Result<u64, MetadataError>;

    /// The tags after `after`, at most `limit`; `None` when the repository does not exist.
    async fn tags(
        &self,
        repository: &RepositoryName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Option<Page<Tag>>, MetadataError>;

    /// The manifests of the repository whose subject is `subject`, ordered by digest, those of
    /// `artifact_type` alone when it is given.
    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&ReferrerCursor>,
        limit: u32,
    ) -> Result<Page<Referrer>, MetadataError>;

    /// The oldest changes that the storage tree has still to follow, at most `limit`.
    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxEntry>, MetadataError>;

    /// Forgets changes that a list from [`outbox`](Self::outbox) held: the tree has them on stable
    /// storage. Relaxed.
    async fn outbox_done(&self, done: &[OutboxId]) -> Result<(), MetadataError>;

    /// Waits until the outbox may hold an entry. Returns at once after a start with entries left.
    async fn outbox_filled(&self);

    /// Makes garbage of files that were written into a storage tree and that are neither a blob nor the
    /// manifest of any repository: that may have gone while its file was written. False while the
    /// removal of one is running: ask again when it is over.
    async fn discard_files(&self, files: &[Digest]) -> Result<bool, MetadataError>;

    /// Has [`outbox_filled`](Self::outbox_filled) return once more: entries were left.
    fn outbox_refill(&self);

    /// Records events that belong to no change. Relaxed.
    async fn record_events(&self, events: Vec<NewEvent>) -> Result<(), MetadataError>;

    /// The oldest events that the endpoint has still to be told, at most `limit`.
    async fn events(&self, endpoint: &str, limit: u32)
    -> Result<Vec<RecordedEvent>, MetadataError>;

    /// Forgets events that an endpoint has been told. Relaxed.
    async fn events_done(&self, done: &[EventId]) -> Result<(), MetadataError>;

    /// How many events each endpoint has still to be told, those that the configuration names no
    /// longer too.
    async fn pending_events(&self) -> Result<Vec<EventCount>, MetadataError>;

    /// Drops those of the `limit` oldest events that were recorded before `before`, and tells of
    /// which endpoints they were. Relaxed.
    async fn expire_events(
        &self,
        before: SystemTime,
        limit: u32,
    ) -> Result<Vec<EventCount>, MetadataError>;

    /// Drops the `count` oldest events of an endpoint, and tells how many there were. Relaxed.
    async fn trim_events(&self, endpoint: &str, count: u32) -> Result<u64, MetadataError>;

    /// Waits until there may be events to tell. Returns at once after a start with events left.
    async fn events_filled(&self);

    /// Counts from now on what the repositories of these prefixes hold. What they hold already is
    /// counted once, while other changes wait; prefixes that are counted are left as they are.
    async fn count_usage(&self, prefixes: &[RepositoryPrefix]) -> Result<(), MetadataError>;

    /// What the repositories of these prefixes hold, in their order, and whether `blob` is among it.
    /// A prefix that is not counted is left out.
    async fn usage(
        &self,
        prefixes: &[RepositoryPrefix],
        blob: Option<&Digest>,
    ) -> Result<Vec<Usage>, MetadataError>;

    /// Takes a job that one process at a time does, or renews the hold on it; false while another
    /// process has it, or when it was done less than `pause` ago. The hold ends with
    /// [`leave_job`](Self::leave_job), or when `lease` runs out because the process has died.
    async fn take_job(
        &self,
        job: Job,
        lease: Duration,
        pause: Duration,
    ) -> Result<bool, MetadataError>;

    /// Lets go of the job, if this process has it, and notes whether it was done.
    async fn leave_job(&self, job: Job, done: bool) -> Result<(), MetadataError>;

    /// The time by the clock that stamps what is stored: the database's own, where that is another
    /// machine's.
    async fn now(&self) -> Result<SystemTime, MetadataError>;

    /// Binds the database to the place where its blobs are. The first call decides; a process that
    /// would look for them elsewhere is refused.
    ///
    /// # Errors
    /// [`MetadataError::OtherStorage`].
    async fn bind_storage(&self, storage: &str) -> Result<(), MetadataError>;

    /// Binds the database to another place: the blobs have moved there.
    async fn rebind_storage(&self, storage: &str) -> Result<(), MetadataError>;

    /// Whether the database answers.
    async fn ping(&self) -> Result<(), MetadataError>;

    /// Commits what is queued and closes the database. Later calls answer
    /// [`MetadataError::Closed`].
    async fn close(&self);
}
