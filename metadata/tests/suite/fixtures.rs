use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use berth_metadata::{
    AccountStore, BlobLocation, BlobRecord, DeleteManifest, DeletionId, FinishedUpload, Keep,
    MetadataStore, NewEvent, NewManifest, NewUpload, OutboxEntry, PutManifest, RecordedUpload,
    ReviewedLinks, UpkeepStore,
};
use berth_oci::{
    Algorithm, Digest, Hasher, LinkChange, Reference, RepositoryName, Tag, UploadId, media_type,
};
use bytes::Bytes;

pub type Store = Arc<dyn MetadataStore>;

pub type Accounts = Arc<dyn AccountStore>;

pub type Upkeep = Arc<dyn UpkeepStore>;

/// A store for one test, as each of its traits, with what has to live as long.
pub struct Opened {
    pub store: Store,
    pub accounts: Accounts,
    pub upkeep: Upkeep,
    /// Deleted when the test ends.
    pub _directory: Option<tempfile::TempDir>,
}

impl Opened {
    pub fn new(
        store: impl MetadataStore + AccountStore + UpkeepStore,
        directory: Option<tempfile::TempDir>,
    ) -> Self {
        let store = Arc::new(store);
        let (accounts, upkeep) = (store.clone(), store.clone());
        Self { store, accounts, upkeep, _directory: directory }
    }
}

pub const LEASE: Duration = Duration::from_secs(3600);

pub const GRACE: Duration = Duration::from_secs(600);

pub fn repository(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

pub fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

pub fn by_tag(name: &str) -> Reference {
    Reference::Tag(tag(name))
}

pub fn digest(content: impl AsRef<[u8]>) -> Digest {
    Hasher::digest(Algorithm::Sha256, content.as_ref())
}

pub fn blob(content: &str) -> BlobRecord {
    BlobRecord {
        digest: digest(content),
        size: content.len() as u64,
        location: BlobLocation(format!("place/{content}")),
    }
}

/// A manifest with these bytes and nothing else.
pub fn manifest(name: &str, payload: &str) -> NewManifest {
    NewManifest {
        repository: repository(name),
        digest: digest(payload),
        media_type: media_type::OCI_IMAGE_MANIFEST.to_owned(),
        payload: Bytes::from(payload.to_owned()),
        blobs: Vec::new(),
        manifests: Vec::new(),
        subject: None,
        artifact_type: None,
        annotations: None,
        tags: Vec::new(),
        immutable_tags: Vec::new(),
        mirrored: None,
        events: Vec::new(),
    }
}

pub fn tagged(name: &str, payload: &str, tags: &[&str]) -> NewManifest {
    NewManifest { tags: tags.iter().map(|name| tag(name)).collect(), ..manifest(name, payload) }
}

/// A manifest that is attached to the one with the bytes `subject`.
pub fn attached(name: &str, payload: &str, subject: &str, artifact_type: &str) -> NewManifest {
    NewManifest {
        subject: Some(digest(subject)),
        artifact_type: Some(artifact_type.to_owned()),
        annotations: Some(BTreeMap::from([("of".to_owned(), subject.to_owned())])),
        ..manifest(name, payload)
    }
}

pub fn new_upload(name: &str) -> NewUpload {
    NewUpload {
        id: UploadId::random(),
        repository: repository(name),
        algorithm: Algorithm::Sha256,
        hash_state: Hasher::new(Algorithm::Sha256).save(),
        handle: "handle".to_owned(),
    }
}

pub fn finished(name: &str, id: Option<UploadId>, blob: BlobRecord) -> FinishedUpload {
    FinishedUpload {
        id,
        repository: repository(name),
        blob,
        lease: LEASE,
        grace: GRACE,
        seen: None,
        events: Vec::new(),
    }
}

/// Whether a finished upload is recorded.
pub async fn finish(store: &Store, finished: FinishedUpload) -> bool {
    match store.finish_upload(finished).await.unwrap() {
        RecordedUpload::Linked => true,
        RecordedUpload::SessionGone => false,
        RecordedUpload::Unsure => panic!("bytes are being removed"),
    }
}

pub async fn find_blob(
    store: &Store,
    repository: &RepositoryName,
    digest: &Digest,
) -> Option<BlobRecord> {
    store.blob(repository, digest).await.unwrap().map(|linked| linked.blob)
}

/// Pushes a blob that is found by its digest, with a lease.
pub async fn push_blob_for(
    store: &Store,
    name: &str,
    content: &str,
    lease: Duration,
) -> BlobRecord {
    let record = BlobRecord { location: BlobLocation::default(), ..blob(content) };
    let push = FinishedUpload { lease, ..finished(name, None, record.clone()) };
    assert!(finish(store, push).await);
    record
}

/// Pushes a blob in one go.
pub async fn push_blob(store: &Store, name: &str, content: &str) -> BlobRecord {
    let record = blob(content);
    assert!(finish(store, finished(name, None, record.clone())).await);
    record
}

/// Pushes a manifest that lacks nothing.
pub async fn push_manifest(store: &Store, manifest: NewManifest) {
    assert_eq!(store.put_manifest(manifest).await.unwrap(), PutManifest::Stored);
}

/// What the store answers for the reference: the payload as text.
pub async fn payload(store: &Store, name: &str, reference: &Reference) -> Option<String> {
    let record = store.manifest(&repository(name), reference).await.unwrap()?;
    Some(String::from_utf8(record.payload.to_vec()).unwrap())
}

pub async fn all_tags(store: &Store, name: &str) -> Vec<String> {
    let page = store.tags(&repository(name), None, 1000).await.unwrap().unwrap();
    assert!(!page.more);
    page.entries.iter().map(ToString::to_string).collect()
}

pub async fn all_repositories(store: &Store) -> Vec<String> {
    let page = store.repositories(None, 1000).await.unwrap();
    assert!(!page.more);
    page.entries.iter().map(ToString::to_string).collect()
}

/// The changes in the outbox, without their places.
pub async fn changes(store: &Store) -> Vec<LinkChange> {
    let entries = store.outbox(1000).await.unwrap();
    assert!(entries.is_sorted_by_key(|entry| entry.id));
    entries.into_iter().map(|OutboxEntry { change, .. }| change).collect()
}

/// Deletes a manifest for good, with what is attached to it; false when it is not there.
pub async fn delete(
    store: &Store,
    repository: &RepositoryName,
    digest: &Digest,
    grace: Duration,
    events: &[NewEvent],
) -> bool {
    let keep = Keep::for_good(grace);
    match store.delete_manifest(repository, digest, keep, events).await.unwrap() {
        DeleteManifest::Deleted { unfinished: None } => true,
        DeleteManifest::Deleted { unfinished: Some(id) } => {
            finish_deletion(store, id, events).await;
            true
        }
        DeleteManifest::Unknown => false,
        other => panic!("{other:?}"),
    }
}

/// Goes on with a deletion to its end, a few at a time.
pub async fn finish_deletion(store: &Store, id: DeletionId, events: &[NewEvent]) {
    while store.continue_deletion(id, Duration::ZERO, 2, events).await.unwrap() {}
}

/// Looks at all links whose time has come, and sums up.
pub async fn review_all(store: &Store, grace: Duration) -> ReviewedLinks {
    let mut all = ReviewedLinks::default();
    loop {
        let ReviewedLinks { kept, unlinked, released, released_bytes } =
            store.review_links(100, grace).await.unwrap();
        all.kept += kept;
        all.unlinked += unlinked;
        all.released += released;
        all.released_bytes += released_bytes;
        if kept + unlinked == 0 {
            return all;
        }
    }
}
