//! The SQL store of names and the graph: repositories, tags, manifests (their bytes too), links
//! from repositories to blobs, references from manifests, upload sessions, the outbox that
//! keeps a storage tree's link files in step, and the events that others want to be told of; and
//! accounts, what they may do, and what they did.
//!
//! All SQL lives in this crate. [`MetadataStore`], [`AccountStore`] and [`UpkeepStore`] are what the services
//! see; [`SqliteStore`] is the embedded implementation, [`PostgresStore`] the one that many processes share. One
//! test suite for each trait runs against every implementation.

mod accounts;
mod deletion;
mod encoding;
mod error;
mod events;
mod expiry;
mod fault;
pub mod lifecycle;
mod mirrored;
mod postgres;
mod records;
mod rows;
mod snapshot;
mod sqlite;
mod store;
mod transfer;
mod upkeep;

pub use accounts::{
    AccessToken, AccessTokenId, Account, AccountChange, AccountKind, AccountStore, AuditFilter,
    AuditId, AuditOutcome, AuditRecord, Created, GrantFilter, GrantId, Member, NewAccessToken,
    NewAccount, NewAudit, NewGrant, NewRefreshToken, OrganisationRole, PolicyData, RefreshUse,
    SecretHash, SigningKey, StoredGrant, TokenOwner,
};
pub use deletion::{
    DeleteManifest, DeletedManifest, Deletion, DeletionId, Keep, Restore, UntaggedSearch,
};
pub use error::MetadataError;
pub use events::{Event, EventAction, EventCount, EventId, NewEvent, RecordedEvent};
pub use expiry::{ExpiredManifests, ProtectedTags, TagUse, UntaggedLook};
pub use mirrored::{FetchKey, Mirrored, MirroredTag};
pub use postgres::{Pooling, PostgresOptions, PostgresStore};
pub use records::{
    BlobLocation, BlobRecord, CollectionBacklog, DueLink, FinishedUpload, Follower, GarbageId,
    HeldUpload, Job, LinkCursor, LinkedBlob, ManifestCursor, ManifestRecord, MountSource,
    NewManifest, NewUpload, OutboxEntry, OutboxId, Page, PutManifest, RecordedUpload, Referrer,
    ReferrerCursor, ReviewedLinks, Standing, TakenGarbage, UntaggedManifests, Upload,
    UploadProgress, Usage,
};
pub use snapshot::{restore, snapshot, would_migrate};
pub use sqlite::{SqliteLocation, SqliteOptions, SqliteStore};
pub use store::MetadataStore;
pub use transfer::{Changes, Endpoint, Summary, Transfer};
pub use upkeep::{
    AdoptedLinks, AdoptedTags, AdoptionStore, BlobCursor, DamageStore, DamagedBlob, FoundBlob,
    FoundLink, FoundManifest, FoundTag, Misfit, NamedBlob, Origins, Orphans, TreeCursor, TreeEntry,
    TreeStore, UnlinkedReference, UnlinkedReferences, UpkeepStore,
};
