//! What the registry does, without HTTP: one file a subject, each an `impl` block of
//! [`crate::Registry`].

mod asked;
mod blobs;
mod body;
pub(crate) mod catalog;
mod collection;
mod deletion;
mod health;
mod housekeeping;
mod ingest;
mod leases;
mod manifests;
mod mirror;
mod outbox;
mod placement;
mod quotas;
mod referrers;
mod restore;
mod retention;
mod streams;
mod tags;
mod tasks;
mod uploads;

pub(crate) use body::{BodyPump, BodyReader, body};
pub use collection::{Collected, Pace};
pub(crate) use health::StorageHealth;
pub(crate) use manifests::PushManifest;
pub(crate) use mirror::{Mirroring, Note, PulledBlob};
pub use retention::{Retained, RetentionRun};
pub use tasks::BackgroundTasks;
pub(crate) use uploads::ChunkPlace;
